"""What lies beside a finished clip and is known of it: sidecar, failures, markers, takes, timelines."""
