"""Processes that form a group and do what they are told, one call on all of them at a time.

Calls and answers go through the test's own pipes as plain pickles: `Connection.send` would put tensors into
shared memory, which ends with the rank that made it.
"""

import importlib
import multiprocessing
import pickle

import torch
import torch.distributed as dist

PATIENCE_SECONDS = 300


class RankPool:
    """`num_ranks` processes on the CPU, joined by gloo; the first two or more of them are a group as well."""

    def __init__(self, num_ranks, folder):
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(num_ranks)]
        self._ends = [end for end, _ in pipes]
        self._processes = [
            context.Process(target=_serve, args=(other, rank, num_ranks, str(folder / "store")), daemon=True)
            for rank, (_, other) in enumerate(pipes)
        ]
        for process in self._processes:
            process.start()
        self.call(num_ranks, are_you_there)

    def call(self, world_size, function, *arguments):
        """What `function(rank, group, *arguments)` returns on each rank, an exception where it raised one."""
        for end in self._ends[:world_size]:
            end.send_bytes(pickle.dumps((world_size, function.__module__, function.__name__, arguments)))
        answers = []
        for rank, end in enumerate(self._ends[:world_size]):
            assert end.poll(PATIENCE_SECONDS), f"rank {rank} waits for ever"
            answers.append(pickle.loads(end.recv_bytes()))
        return answers

    def close(self):
        for process in self._processes:
            process.terminate()
            process.join()


def are_you_there(rank, group):
    return rank


def _serve(end, rank, num_ranks, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=num_ranks)
    groups = {size: dist.new_group(list(range(size))) for size in range(2, num_ranks + 1)}
    while True:
        world_size, module, name, arguments = pickle.loads(end.recv_bytes())
        try:
            answer = getattr(importlib.import_module(module), name)(rank, groups[world_size], *arguments)
        except Exception as error:
            answer = error
        end.send_bytes(pickle.dumps(answer))
