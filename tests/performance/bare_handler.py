"""What any HTTP function of this kind has to import, and nothing else: the yardstick for cold starts."""

import boto3
from aws_lambda_powertools import Logger
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

logger = Logger(service="bare")
client = boto3.client("dynamodb", region_name="us-east-1")
app = FastAPI()


class Thing(BaseModel):
    """One model, since no handler is without."""

    name: str


@app.get("/things/{thing_id}")
def read_thing(thing_id: str) -> Thing:
    return Thing(name=thing_id)


handler = Mangum(app, lifespan="off")
