"""The embedded runner: the whole system on one machine, without Docker or an AWS account.

``python -m localstack.embedded run`` packages the services, starts the emulator, deploys the stacks of
``template.yaml`` to it through CloudFormation and starts a proxy with a short address for the API.
"""
