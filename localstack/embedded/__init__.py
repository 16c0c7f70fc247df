"""The embedded runner: the whole system on one machine, without Docker or an AWS account.

``python -m localstack.embedded run`` packages the services, starts the emulator, deploys
``template.yaml`` to it through CloudFormation and puts a plain address in front of the API.
"""
