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

    /// Zeroes the next step of the log's reserve, between pieces of work.
    ///
    /// - Parameter done: told whether there is more to prepare; false as well when the disk has
    ///   no space for it now.
    func prepareAhead(then loop: any EventLoop, _ done: @escaping @Sendable (Bool) -> Void) {
        pool.submit { state in
            guard state == .active else { return }
            let hasMore: Bool
            do throws(LogError) {
                hasMore = try self.log.prepareAhead()
            } catch {
                // No space, or a failed log: the append that needs the room says so itself.
                hasMore = false
            }
            loop.execute { done(hasMore) }
        }
    }

    func stop() { pool.shutdownGracefully { _ in } }
}
