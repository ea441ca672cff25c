"""The background process that owns torch, and the client that a face uses to speak with it.

Import ``LMIALLib.worker.client`` from a face; ``python -m LMIALLib.worker STUDY`` is the process.
"""
