package import TenonCore
package import TenonWire

/// Where tablets are before the directory is dynamic: tablet 1 stands for the directory and has
/// no group; tablets 2… cover the keyspace `default`, each on every node.
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
                upper: border(place + 1, of: count), leader: NodeID(0))
        }
    }

    /// The lower border of tablet number `place`; nil for the first and past the last.
    private static func border(_ place: Int, of count: Int) -> Bytes? {
        guard place > 0, place < count else { return nil }
        let value = firstBorder + (lastBorder - firstBorder) * place / count
        return Bytes([UInt8(value >> 8), UInt8(value & 0xFF)])
    }

    /// The replica of a tablet on a node, given at formation.
    package static func replica(on node: NodeID) -> ReplicaID { ReplicaID(UInt64(node.rawValue)) }
}
