# What a pod runs in: every package that the workflow needs, by the project's own pins and lock.
#   docker build --tag registry.example.org/salt-segmentation .
FROM python:3.11-slim

COPY pyproject.toml requirements.lock /project/
COPY workflow/scripts /project/workflow/scripts
RUN pip install --no-cache-dir --constraint /project/requirements.lock \
    "/project[openvino,pretrained,kubernetes]"
