import Dispatch
import Glibc
import Synchronization

/// The reader of standard output has closed it.
struct OutputClosed: Error {}

/// Standard output for many tasks: whole lines, gathered into large writes on a queue of its own.
///
/// A task that writes faster than the reader reads waits, so the memory is bounded.
final class OutputStream: Sendable {
    /// Bytes that may wait before a writer has to.
    private static let bufferedBytesMax = 1 << 20

    private struct State {
        var buffer: [UInt8] = []
        var isWriting = false
        var isClosed = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "tenon.output")

    /// Puts bytes into the stream; waits while too much waits already.
    func write(_ bytes: [UInt8]) async throws(OutputClosed) {
        let (isToStart, isToWait) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.buffer += bytes
            let isToStart = !state.isWriting
            state.isWriting = true
            return (isToStart, state.buffer.count > OutputStream.bufferedBytesMax)
        }
        if isToStart { queue.async { self.drain() } }
        if isToWait { await written() }
        if state.withLock({ $0.isClosed }) { throw OutputClosed() }
    }

    /// Waits until all that was put in has been written.
    func flush() async throws(OutputClosed) {
        await written()
        if state.withLock({ $0.isClosed }) { throw OutputClosed() }
    }

    private func written() async {
        await withCheckedContinuation { waiter in
            let isDone = state.withLock { state in
                guard state.isWriting else { return true }
                state.waiters.append(waiter)
                return false
            }
            if isDone { waiter.resume() }
        }
    }

    /// On the queue: writes until nothing is left.
    private func drain() {
        while true {
            let (bytes, waiters) = state.withLock { state in
                let taken = (state.buffer, state.buffer.isEmpty ? state.waiters : [])
                state.buffer = []
                if taken.0.isEmpty {
                    state.waiters = []
                    state.isWriting = false
                }
                return taken
            }
            for waiter in waiters { waiter.resume() }
            guard !bytes.isEmpty else { return }
            if !OutputStream.writeAll(bytes) { state.withLock { $0.isClosed = true } }
        }
    }

    private static func writeAll(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { whole in
                unsafe Glibc.write(
                    STDOUT_FILENO, whole.baseAddress.unsafelyUnwrapped + offset,
                    whole.count - offset)
            }
            if count > 0 {
                offset += count
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}
