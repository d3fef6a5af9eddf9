# What a pod runs in: every package that the workflow needs, by the project's own pins.
#   docker build --tag registry.example.org/salt-segmentation .
FROM python:3.11-slim

COPY requirements.txt /requirements/
COPY profiles/kubernetes/requirements.txt /requirements/kubernetes.txt
RUN pip install --no-cache-dir -r /requirements/requirements.txt -r /requirements/kubernetes.txt
