#!/bin/sh
# Runs inside the container once LocalStack's services answer. The stack itself is deployed from
# outside, where the sources are.
set -eu
awslocal sts get-caller-identity >/dev/null
echo "LocalStack is ready: now run 'make deploy-local AWS_ENDPOINT_URL=http://127.0.0.1:4566' on the host."
