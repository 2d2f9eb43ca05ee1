package import TenonCore
package import TenonWire

/// The cluster as one node knows it: the newest copy of the directory, and who leads that.
package struct ClusterView {
    /// Never without this node, as long as it is a member.
    package private(set) var directory: Directory
    /// Who said last that it leads the directory; 0 before anybody did.
    package var leader = NodeID(0)
    /// Whether the copy is on this node's disk.
    var isSaved = true
    /// Whether a job writes it.
    var isSaving = false
    /// Not before this the copy is written again: one a second is enough.
    var saveAt = Instant.zero

    /// What a node knows at its start: what it saved, or what the founders were told.
    init(_ start: NodeStart) {
        let configuration = start.configuration
        if let saved = start.savedDirectory {
            directory = saved
        } else {
            directory = StaticDirectory.content(
                configuration.members.map { member in
                    Directory.Node(
                        id: member.id, name: member.name, address: member.address,
                        locality: member.name == configuration.name ? configuration.locality : "")
                }, count: configuration.tabletCount)
        }
        if directory.node(start.identity.node) == nil {
            // A node that joins is in no copy older than its joining.
            directory.nodes.append(
                Directory.Node(
                    id: start.identity.node, name: configuration.name,
                    address: configuration.address, locality: configuration.locality))
        }
    }

    /// Takes over a newer copy. Returns whether it is one.
    mutating func update(_ newer: Directory) -> Bool {
        guard newer.version > directory.version else { return false }
        directory = newer
        isSaved = false
        return true
    }
}
