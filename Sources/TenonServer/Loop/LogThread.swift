internal import NIOCore
internal import NIOPosix
import TenonCore
import TenonLog
import TenonNode

/// The thread that writes the node's log, so that the loop never waits for the disk.
///
/// `@unchecked Sendable`: the log is touched by the one thread of the pool only, and the node
/// orders one piece of work at a time.
final class LogThread: @unchecked Sendable {
    private let log: Log
    private let pool = NIOThreadPool(numberOfThreads: 1)

    init(log: consuming Log) { self.log = log }

    func start() { pool.start() }

    /// Performs `work` and calls `done` on `loop` with how it ended.
    func perform(
        _ work: LogWork, then loop: any EventLoop, _ done: @escaping @Sendable (LogResult) -> Void
    ) {
        pool.submit { state in
            guard state == .active else { return }
            let result = self.run(work)
            loop.execute { done(result) }
        }
    }

    private func run(_ work: LogWork) -> LogResult {
        do {
            switch work {
            case .append(let records): try log.append(records)
            case .seal: try log.sealIfNeeded()
            }
            return LogResult(failure: nil, status: log.status, needsSeal: log.needsSeal)
        } catch {
            return LogResult(failure: error, status: log.status, needsSeal: false)
        }
    }

    func stop() { pool.shutdownGracefully { _ in } }
}
