import Synchronization

/// Tasks that run by themselves, and the wait for the last of them.
///
/// Not a task group: a group looks through all its children whenever one ends, and an open loop
/// against a cluster that is gone has tens of thousands. Each task here must end of its own
/// accord, as calls with a deadline do.
final class RunningTasks: Sendable {
    private struct State {
        var running = 0
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func start(_ body: @escaping @Sendable () async -> Void) {
        state.withLock { $0.running += 1 }
        Task {
            await body()
            ended()
        }
    }

    /// Returns when no task runs. One caller at a time; nothing is started meanwhile.
    func drain() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                precondition(state.waiter == nil, "two wait for the same tasks")
                guard state.running > 0 else { return true }
                state.waiter = continuation
                return false
            }
            if isIdle { continuation.resume() }
        }
    }

    private func ended() {
        let waiter = state.withLock { state in
            state.running -= 1
            guard state.running == 0 else { return nil as CheckedContinuation<Void, Never>? }
            return state.waiter.take()
        }
        waiter?.resume()
    }
}
