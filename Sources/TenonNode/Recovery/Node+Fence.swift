package import TenonCore
import TenonWire

/// The epoch as a fence between those who took part in a recovery and those who did not (C10).
extension FolderIdentity {
    /// The nodes that the cluster has: without those that a recovery declared lost, which stand in
    /// the directory until their copies are made again. They have no part in its time either.
    func withoutLost(_ nodes: [Directory.Node]) -> [Directory.Node] {
        lost.isEmpty ? nodes : nodes.filter { !lost.contains($0.id) }
    }
}

extension Node {
    /// Ends this node when `peer` is of its cluster and of a higher epoch.
    ///
    /// - Returns: why the peer is not listened to; nil when it is of this epoch or an older one.
    func cutOff(by peer: PeerIdentity) -> String? {
        guard identity.cluster != .none, peer.cluster == identity.cluster,
            peer.epoch > identity.epoch, !isPlanted(.epochFenceOff)
        else { return nil }
        identity.fencedBy = max(identity.fencedBy, peer.epoch)
        let reason =
            "node \(peer.node) is of epoch \(peer.epoch), this node of \(identity.epoch): a "
            + "recovery ended this node's epoch without it. If it was declared lost, it joins as a "
            + "new node, with an empty folder; if it was a survivor, run `tenon recover apply` on its folder"
        effects.halt = reason
        return reason
    }

    /// Writes down that a recovery went on without this node, when it met one: its folder never
    /// serves in this epoch again. Called once the node has halted; blocks.
    package func recordFence() throws(FileError) {
        guard identity.fencedBy > identity.epoch else { return }
        try NodeFolder.write(identity, in: directory, fileSystem: fileSystem)
    }
}
