import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

extension TabletCommand {
    struct Split: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make two tablets of one: the new one begins at a key.",
            discussion: """
                Names the tablet by its number, or by its keyspace: then it is the one that holds \
                the key. Nothing is copied, and both go on serving. Returns when the new one has a \
                leader.

                EXAMPLES
                  tenon tablet split accounts --at m
                  tenon tablet split 2 --at m --json
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var form: ByteForm
        @OptionGroup var wait: WaitOptions
        @Option(help: ArgumentHelp("The first key of the new tablet.", valueName: "key"))
        var at: String
        @Flag(help: "Print both tablets as JSON.")
        var json = false
        @Argument(help: "A tablet's number, or a keyspace's name.")
        var tablet: String

        func run() async throws {
            let key = try form.bytes(of: at, "--at")
            try await connection.withClient { client in
                let before = try await client.describe()
                let id = try self.id(of: key, in: before)
                try await client.direct(.splitTablet(id, at: key))
                try await wait.wait("tablet \(id) is not split", client) { directory in
                    guard let half = Split.half(at: key, of: id, in: directory, before) else {
                        return "waiting for tablet \(id)"
                    }
                    return half.leader == NodeID(0) ? "waiting for a leader of \(half.id)" : nil
                }
                guard !wait.noWait || json else { return }
                show(try await client.describe(), id, key, before)
            }
        }

        /// The tablet that is meant.
        private func id(of key: Bytes, in directory: Directory) throws(TenonError) -> TabletID {
            if let number = UInt64(tablet), directory.keyspace(named: tablet) == nil {
                return TabletID(number)
            }
            guard let keyspace = directory.keyspace(named: tablet) else {
                let names = directory.keyspaces.map(\.name).joined(separator: ", ")
                throw TenonError(
                    .invalid, .notApplied, "there is no keyspace \(tablet); there is \(names)")
            }
            guard let found = directory.tablet(of: keyspace.id, holding: key) else {
                throw TenonError(
                    .unavailable, .notApplied, "no tablet of \(tablet) holds the key yet")
            }
            return found.id
        }

        /// The tablet that begins at `key` and was not there before.
        private static func half(
            at key: Bytes, of id: TabletID, in directory: Directory, _ before: Directory
        ) -> TabletDescriptor? {
            guard let own = before.tablets.first(where: { $0.id == id }) else { return nil }
            return directory.tablets.first { $0.keyspace == own.keyspace && $0.lower == key }
        }

        private func show(
            _ directory: Directory, _ id: TabletID, _ key: Bytes, _ before: Directory
        ) {
            let half = Split.half(at: key, of: id, in: directory, before)
            let rows = directory.tablets.filter { $0.id == id || $0.id == half?.id }
                .map { TabletRow($0, in: directory) }
            if json { return print(JSON.array(rows.map(\.json)).text) }
            print(TextTable(header: TabletRow.header, rows: rows.map(\.cells)))
        }
    }
}
