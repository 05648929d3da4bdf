"""Offline benchmarks of decoders, epoched as MOABB does it and pseudo-online as they run live.

::

    config.py          a benchmark's YAML
    datasets/          epochs and continuous recordings, by subject and session
    pipelines.py       our decoders by kind, any estimator by import path
    folds.py           who is trained on what: within-session, cross-session, cross-subject, …
    scoring.py         what a score is, as MOABB scores
    store.py           one file per unit of work, keyed by what it depends on
    run.py             plan, run in parallel or on a cluster, collect
    pseudo_online.py   a recording through the live pipeline, with an idle class
    statistics.py      tests within and across data sets, as MOABB's
    report.py          one HTML page and tables
    deploy.py          from a benchmark's winner to a model that `bci run` loads
"""
