"""The use cases of analytics: apply events, report, rebuild."""
