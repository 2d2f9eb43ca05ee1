import TenonCore
import TenonWire

@testable import TenonKV
@testable import TenonNode

/// The records of a directory with three founders and a fourth node, as tablet 1 holds them.
struct DirectoryRecords {
    private var values: [Bytes: StoredValue] = [:]
    private var version: UInt64 = 1

    init() {
        let nodes = (1...4).map { number in
            Directory.Node(
                id: NodeID(UInt32(number)), name: "n\(number)", address: "10.0.0.\(number):7501",
                locality: "")
        }
        let content = StaticDirectory.content(Array(nodes.prefix(3)), count: 1)
        var change = DirectoryChange(DirectoryState())
        for node in nodes { change.put(node) }
        for keyspace in content.keyspaces { change.put(keyspace) }
        for tablet in content.tablets { change.put(tablet) }
        change.put(
            DirectoryNumbers(
                node: NodeID(5), keyspace: KeyspaceID(2), tablet: TabletID(3)))
        take(change)
    }

    mutating func take(_ change: DirectoryChange) {
        version += 1
        for operation in change.operations {
            switch operation {
            case .put(let key, let value, _):
                values[key] = StoredValue(bytes: value, version: Timestamp(version))
            case .delete(let key, _): values[key] = nil
            default: continue
            }
        }
    }

    var state: DirectoryState {
        get throws {
            let items = values.keys.sorted().compactMap { key in
                values[key].map { ScanAnswer.Item(key: key, value: $0) }
            }
            return try DirectoryState(items, at: Timestamp(version))
        }
    }
}
