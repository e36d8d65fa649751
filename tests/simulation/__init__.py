"""The engine in a simulated world: thousands of schedules of faults, each repeatable by its seed.

The loop, the applier, the outlet, take-over and hand-over are the real ones; simulated are what they stand on:

    eventloop   an asyncio loop whose time jumps to the next timer
    world       the dice of a seed, the weather drawn from them, processes that pause and die at any step of any port
    broker      topics and a consumer group with eager rebalances; sessions time out
    database    rows, locks and transactions as the engine's statements see them; connections break at any step
    ports       what `KafkaInput`, `KafkaOutput` and `PostgresLedger` do on top of these
    book        the worker: it books records, tells of them on two topics, and some it cannot take
    slots       start whatever has ended again
    blows       what befalls the world now and then: kills, pauses, restarts, rebalances, rewinds
    oracle      the laws, checked at the moment at which they could be broken
    schedule    one seed from its beginning to its end
    planted     bugs, to see that they are found

    python -m tests.simulation --schedules 10000 --seed 1
    python -m tests.simulation --only 4711 --trace

A seed means the same as long as neither the simulation nor the engine's steps change.
"""
