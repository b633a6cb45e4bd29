"""The Grafana dashboards of the chart. `PYTHONPATH=charts python -m dashboards` writes them."""
