internal import Synchronization
internal import TenonCore

/// Where tasks put calls for the loop: the only state that threads share.
///
/// Many calls that arrive together are one task of the loop. The lock is held for an append or a
/// swap, never while a task is resumed.
final class Inbox: Sendable {
    /// A call and the task that waits for it.
    struct Submission: Sendable {
        let token: UInt64
        let call: Call
        /// What the call weighs, see ``Call/byteCount``.
        let byteCount: Int
        let waiter: Waiter
    }

    /// What arrived since the loop looked last.
    struct Batch: Sendable {
        var submissions: [Submission] = []
        var cancelled: Set<UInt64> = []
    }

    private struct State: Sendable {
        var batch = Batch()
        var isLoopCalled = false
        var isClosed = false
        var callsInFlight = 0
        var bytesInFlight = 0
    }

    private let state = Mutex(State())
    private let lastToken = Atomic<UInt64>(0)
    private let callsMax: Int
    private let bytesMax: Int

    init(callsMax: Int, bytesMax: Int) {
        self.callsMax = callsMax
        self.bytesMax = bytesMax
    }

    /// What the caller of ``submit(_:)`` has to do.
    enum Admission {
        /// Nothing: the loop knows.
        case taken
        /// Call the loop.
        case takenCallLoop
        /// Resume the waiter with this.
        case refused(TenonError)
    }

    /// A number for a call, under which it can be cancelled.
    func nextToken() -> UInt64 { lastToken.wrappingAdd(1, ordering: .relaxed).newValue }

    /// Takes a call for the loop.
    func submit(_ submission: Submission) -> Admission {
        state.withLock { state in
            guard !state.isClosed else { return .refused(Inbox.isShutDown) }
            guard state.callsInFlight < callsMax,
                state.bytesInFlight == 0 || state.bytesInFlight + submission.byteCount <= bytesMax
            else { return .refused(overloaded(state.callsInFlight, state.bytesInFlight)) }
            state.callsInFlight += 1
            state.bytesInFlight += submission.byteCount
            state.batch.submissions.append(submission)
            return Inbox.callLoop(&state)
        }
    }

    /// Takes a cancellation for the loop. Returns whether the loop is to be called.
    func cancel(_ token: UInt64) -> Bool {
        state.withLock { state in
            state.batch.cancelled.insert(token)
            if case .takenCallLoop = Inbox.callLoop(&state) { return true }
            return false
        }
    }

    /// The loop takes what arrived, and leaves an empty batch whose room is used again.
    func take(into batch: inout Batch) {
        state.withLock { state in
            swap(&state.batch, &batch)
            state.isLoopCalled = false
        }
    }

    /// The loop has ended so many calls.
    func ended(calls: Int, bytes: Int) {
        state.withLock { state in
            state.callsInFlight -= calls
            state.bytesInFlight -= bytes
        }
    }

    /// Refuses whatever comes from now on.
    func close() { state.withLock { $0.isClosed = true } }

    private static func callLoop(_ state: inout State) -> Admission {
        guard !state.isLoopCalled else { return .taken }
        state.isLoopCalled = true
        return .takenCallLoop
    }

    private static let isShutDown = TenonError(
        .unavailable, .notApplied, "the client was shut down")

    private func overloaded(_ calls: Int, _ bytes: Int) -> TenonError {
        TenonError(
            .overloaded, .notApplied,
            "\(calls) calls and \(bytes) B are under way in this client; wait for some to end",
            retryAfter: .milliseconds(10))
    }
}
