"""The probe suites, one file per suite and one class per probe; installed as sora_eval.probes."""
