import TenonCore
import TenonWire

/// What a recovery leaves to the directory's leader (Rule C10).
extension DirectoryController {
    /// Nodes that a recovery declared lost are to go: their replicas are made again where there is
    /// room, then their records are removed. Every survivor knows who they are, so whoever leads
    /// first writes it down.
    func lostChange(_ lost: [NodeID]) -> DirectoryChange {
        var change = DirectoryChange(state)
        for var node in state.directory.nodes
        where lost.contains(node.id) && node.state != .leaving && !change.isFull {
            node.state = .leaving
            change.put(node)
        }
        return change
    }
}
