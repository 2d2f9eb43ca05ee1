package import TenonCore
import TenonRaft
package import TenonWire

/// What a cluster begins with: tablet 1, the directory, and the data tablets 2… of the keyspace
/// `default`, each on every founder. From then on the directory says where everything is.
package enum StaticDirectory {
    /// The first data tablet.
    package static let firstTablet = TabletID(2)
    /// The two-byte borders run from the first to the last of these.
    private static let firstBorder = 0x3030  // "00"
    private static let lastBorder = 0x7A7A  // "zz"

    /// The descriptors of `count` data tablets, in key order.
    package static func tablets(count: Int) -> [TabletDescriptor] {
        (0..<count).map { place in
            TabletDescriptor(
                id: TabletID(firstTablet.rawValue + UInt64(place)), keyspace: .default,
                generation: .first, lower: border(place, of: count) ?? Bytes(),
                upper: border(place + 1, of: count))
        }
    }

    /// The descriptor of the directory's own tablet.
    package static let directory = TabletDescriptor(
        id: .directory, keyspace: .directory, generation: .first, lower: Bytes(), upper: nil)

    /// The lower border of tablet number `place`; nil for the first and past the last.
    private static func border(_ place: Int, of count: Int) -> Bytes? {
        guard place > 0, place < count else { return nil }
        let value = firstBorder + (lastBorder - firstBorder) * place / count
        return Bytes([UInt8(value >> 8), UInt8(value & 0xFF)])
    }

    /// The replica of a tablet on a founder.
    package static func replica(on node: NodeID) -> ReplicaID { ReplicaID(UInt64(node.rawValue)) }

    /// The most voters of a tablet that nobody said anything of.
    private static let replicasMax = 5

    /// The directory as the founders `nodes` make it, with `count` data tablets.
    static func content(_ nodes: [Directory.Node], count: Int) -> Directory {
        let members = nodes.map { Member(replica: replica(on: $0.id), node: $0.id) }.inOrder
        let next = members.last?.replica.next ?? ReplicaID(1)
        let most = StaticDirectory.replicasMax
        let replicas = min(most, max(Directory.Keyspace.replicasDefault, members.count))
        return Directory(
            nodes: nodes.sorted { $0.id < $1.id },
            keyspaces: [
                Directory.Keyspace(id: .default, name: "default", replicas: replicas)
            ],
            tablets: ([directory] + tablets(count: count)).map {
                var descriptor = $0
                descriptor.voters = members
                descriptor.nextReplica = next
                return descriptor
            })
    }

    /// The replicas that a founder makes.
    static func records(
        of node: NodeID, members: [NodeID], count: Int
    ) -> [ReplicaRecord] {
        let voters = members.map { Member(replica: replica(on: $0), node: $0) }.inOrder
        let membership: Membership
        do {
            membership = try Membership(incoming: voters)
        } catch {
            preconditionFailure("founders that make no membership: \(error)")
        }
        return ([directory] + tablets(count: count)).map { descriptor in
            ReplicaRecord(
                tablet: descriptor.id, replica: replica(on: node), keyspace: descriptor.keyspace,
                generation: descriptor.generation, lower: descriptor.lower,
                upper: descriptor.upper, membership: membership)
        }
    }
}
