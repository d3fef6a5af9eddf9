# What a pod runs in: every package that the workflow needs, by the project's own pins and lock.
#   docker build --tag registry.example.org/salt-segmentation .
FROM python:3.11-slim

COPY requirements.txt requirements.lock /requirements/
COPY profiles/kubernetes/requirements.txt /requirements/kubernetes.txt
RUN pip install --no-cache-dir --constraint /requirements/requirements.lock \
    -r /requirements/requirements.txt -r /requirements/kubernetes.txt
