package import TenonCore

/// What becomes of a tablet when some of its voters are lost for good and at once.
///
/// A majority of voters holds every committed entry, and any two majorities share a voter. So
/// while a majority is left, it elects a leader that holds all that was committed; with fewer
/// nothing can be committed, and what the others held may not be on any that is left.
package enum LossVerdict: UInt8, Comparable, Sendable {
    /// Nothing is lost, and it serves again by itself.
    case byItself = 0
    /// Copies are left and no majority: an operator has to decide, and entries may be lost.
    case byOperator = 1
    /// No copy is left.
    case gone = 2

    package static func < (one: LossVerdict, other: LossVerdict) -> Bool {
        one.rawValue < other.rawValue
    }

    /// As commands print it.
    package var name: String {
        switch self {
        case .byItself: "by itself"
        case .byOperator: "by operator command"
        case .gone: "not"
        }
    }
}

/// The loss of a node, a room or a city, as it meets one tablet.
package struct Loss: Hashable, Sendable {
    package let domain: FailureDomain
    package let lost: [NodeID]
    package let left: [NodeID]
    /// Voters that have to be left.
    package let majority: Int
    package let verdict: LossVerdict
}

/// What a tablet survives by where its voters are.
package struct Survival: Sendable {
    package let voters: [NodeID]
    /// Those of them that are lost already.
    package let down: Set<NodeID>
    private let topology: Topology

    package init(
        voters: [NodeID], down: Set<NodeID> = [], in topology: Topology
    ) {
        self.voters = voters
        self.down = down
        self.topology = topology
    }

    package var majority: Int { voters.count / 2 + 1 }

    /// What the loss of all nodes of `domain` does, besides those that are lost already.
    package func loss(of domain: FailureDomain) -> Loss {
        let gone = Set(topology.nodes(in: domain).map(\.id))
        let left = voters.filter { !gone.contains($0) && !down.contains($0) }
        let verdict: LossVerdict =
            if left.count >= majority { .byItself } else if left.isEmpty { .gone } else {
                .byOperator
            }
        return Loss(
            domain: domain, lost: voters.filter(gone.contains), left: left, majority: majority,
            verdict: verdict)
    }

    /// Every loss at `level` that takes a voter, in the order of names.
    package func losses(at level: FailureLevel) -> [Loss] {
        topology.domains(at: level).map(loss).filter { !$0.lost.isEmpty }
    }

    /// The worst loss at `level`: what the tablet survives at this level is what it survives of
    /// that. Nil when some voter's locality does not say what it is lost with.
    package func worstLoss(at level: FailureLevel) -> Loss? {
        let isKnown = voters.allSatisfy { topology.node($0)?.domain(at: level) != nil }
        guard isKnown else { return nil }
        return losses(at: level).max { ($0.verdict, $1.left.count) < ($1.verdict, $0.left.count) }
    }
}
