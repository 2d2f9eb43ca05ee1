/// The task that waits for a call.
///
/// An unsafe continuation, because a checked one costs an allocation and a lock a call. It is
/// resumed once: a waiter is either refused by ``Inbox`` or kept in the one slot of its call,
/// from which ``ClientLoop`` takes it out to resume it.
@safe struct Waiter: Sendable {
    private let continuation: UnsafeContinuation<CallResult, Never>

    init(_ continuation: UnsafeContinuation<CallResult, Never>) {
        unsafe self.continuation = unsafe continuation
    }

    /// Goes on with the task, on its own executor.
    func resume(_ result: CallResult) { unsafe continuation.resume(returning: result) }
}
