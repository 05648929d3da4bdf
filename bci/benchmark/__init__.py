"""Offline benchmarks of decoders, epoched as MOABB does it and pseudo-online as they run live.

::

    config.py          a benchmark's YAML; evaluations.py its evaluations
    datasets/          epochs and continuous recordings, by subject and session (see data.py)
    pipelines.py       our decoders by kind, any estimator by import path; transforms.py
    folds.py           who is trained on what; trials.py, learning_curve.py; leaks.py guards it
    scoring.py         what a score is, as MOABB scores; dynamic.py stops trials early
    plan.py, task.py   units of work; survey.py, index.py know the data without reading it again
    run.py             plan, run, collect; work.py does a task, runners.py says where,
                       memory.py shares fits, progress.py tells how far it is, stopping.py
                       ends it when it is asked to
    store.py           one file per unit of work, keyed by what it depends on (version.py)
    pseudo_online.py   a recording through the live pipeline, with an idle class: matching.py
                       counts, outcome.py is the result, operating_point.py the threshold,
                       online.py the unit of work
    deep_protocol.py   the evaluation of the deep SSVEP network's paper; deep_study.py does it on
                       a data set: `bci deep-protocol`
    statistics.py      tests within and across data sets, as MOABB's; significance.py, chance.py
    report/            one HTML page and tables
    deploy.py          from a benchmark's winner to a model that `bci run` loads
    main.py            what `bci benchmark` does
"""
