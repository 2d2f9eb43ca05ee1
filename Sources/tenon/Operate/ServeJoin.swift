import ArgumentParser
import Logging
import TenonClient
import TenonServer
import TenonWire

/// How a node gets into a cluster: as a client it asks the directory for a number, then it serves.
extension Serve {
    /// How long one try may take, and the pause before the next.
    private static let tryTimeout = Duration.seconds(10)
    private static let pause = Duration.seconds(1)

    /// Makes the node a member when it is to join and has not joined before. Waits as long as the
    /// directory cannot be reached; ends when it is refused.
    func joinCluster(_ settings: ServeSettings, _ logger: Logger) async throws {
        guard let join = settings.join else { return }
        do {
            var folder = try JoiningFolder(settings)
            guard !folder.isMember else { return }
            try await withTenonClient(
                endpoints: join.split(separator: ",").map { String($0) }
            ) { client in
                while try await !isJoined(&folder, client, logger) {
                    try await Task.sleep(for: Serve.pause)
                }
            }
        } catch let error as ServerError {
            Console.note("tenon: \(error)")
            throw Exit.notApplied
        } catch let error as TenonError {
            Console.error("cannot join: \(error.message)")
            throw Exit.notApplied
        }
    }

    private func isJoined(
        _ folder: inout JoiningFolder, _ client: TenonClient, _ logger: Logger
    ) async throws -> Bool {
        do {
            try await client.direct(folder.order, timeout: Serve.tryTimeout)
            let directory = try await client.describe(timeout: Serve.tryTimeout)
            guard let node = folder.record(in: directory) else { return false }
            try folder.join(as: node, directory)
            logger.info("joined cluster \(directory.cluster) as node \(node.id), \(node.name)")
            return true
        } catch let error as TenonError where error.kind == .unavailable {
            logger.warning("the cluster cannot be joined yet: \(error.message)")
            return false
        }
    }
}
