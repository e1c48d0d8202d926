# Userpool: one image for the web processes, the worker, the schedule and the one-off commands.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.txt /tmp/
RUN /opt/venv/bin/pip install --quiet --require-hashes --requirement /tmp/requirements.txt
COPY . /app
WORKDIR /app
# static files depend on no deployment: these values are placeholders and end with this stage
RUN SECRET_KEY=only-while-the-image-is-built \
    USERPOOL_ENCRYPTION_KEYS=$(python -c "print('A' * 43)") \
    USERPOOL_ISSUER_BASE_URL=https://build.invalid \
    DATABASE_URL=sqlite://:memory: \
    USERPOOL_DATA_DIR=/tmp/userpool \
    /opt/venv/bin/python manage.py collectstatic --noinput
# the image is read-only where it runs: what is not compiled here is compiled again at every start
RUN /opt/venv/bin/python -m compileall -q accounts federation userpool

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    USERPOOL_DATA_DIR=/var/lib/userpool \
    PROMETHEUS_MULTIPROC_DIR=/tmp/userpool-metrics
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin userpool \
    && install --directory --owner=userpool --mode=0700 /var/lib/userpool
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Alive, and no more: whether it is ready is the load balancer's question (/readyz).
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# A thread that ends takes its database connection with it: idle ones are kept for as long as granian allows.
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "4", \
     "--no-ws", "--respawn-failed-workers", "--blocking-threads-idle-timeout", "600", "userpool.wsgi:application"]
