package import TenonCore

/// What becomes of a tablet when some of its voters are lost for good and at once.
///
/// A majority of voters holds every committed entry, and any two majorities share a voter. So
/// while a majority is left, it elects a leader that holds all that was committed; with fewer
/// nothing can be committed, and what the others held may not be on any that is left.
///
/// Where a rule asks for an acknowledgement from elsewhere (Rule C6) every committed entry is on
/// voters of two sites besides: what takes no majority away, or all its voters from one site, loses
/// no entry. But with voters of one site left nothing new is committed, a leader's first entry
/// included.
///
/// A witness (Rule C7) counts for majorities, and not as a copy: with witnesses alone left the data
/// is gone. What only its log has is not lost, for it brings a copy up to date before anybody
/// serves; that holds as long as it keeps an entry, which is until voters with data in two sites
/// have it.
package enum LossVerdict: UInt8, Comparable, Sendable {
    /// Nothing is lost, and it serves again by itself.
    case byItself = 0
    /// Nothing is lost and a leader is elected; writes stop, and with the change of leader
    /// linearizable reads, until a voter elsewhere answers (Rule C6).
    case whenElsewhereAnswers = 1
    /// Copies are left and no majority: an operator has to decide, and entries may be lost.
    case byOperator = 2
    /// No copy is left.
    case gone = 3

    package static func < (one: LossVerdict, other: LossVerdict) -> Bool {
        one.rawValue < other.rawValue
    }

    /// As commands print it.
    package var name: String {
        switch self {
        case .byItself: "by itself"
        case .whenElsewhereAnswers: "when a voter elsewhere answers"
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
    /// Whether some committed entry may be on none of those that are left.
    package let mayLoseEntries: Bool
    /// The witnesses that are left, when the newest entries may be in their logs only: one of them
    /// leads first, and brings a copy up to date.
    package let carriers: [NodeID]
}

/// What a tablet survives by where its voters are.
package struct Survival: Sendable {
    package let voters: [NodeID]
    /// Those of them that are lost already.
    package let down: Set<NodeID>
    package let acknowledgement: AcknowledgementRule
    /// Those of the voters that have no data (Rule C7).
    package let witnesses: Set<NodeID>
    /// They keep an entry until copies in two of these have it.
    private let keptUntil: FailureLevel
    private let topology: Topology

    package init(
        voters: [NodeID], witnesses: [NodeID] = [], keptUntil: FailureLevel = .node,
        acknowledgement: AcknowledgementRule = .majority, down: Set<NodeID> = [],
        in topology: Topology
    ) {
        self.voters = voters
        self.witnesses = Set(witnesses)
        self.keptUntil = keptUntil
        self.acknowledgement = acknowledgement
        self.down = down
        self.topology = topology
    }

    package var majority: Int { voters.count / 2 + 1 }

    /// What the loss of all nodes of `domain` does, besides those that are lost already.
    package func loss(of domain: FailureDomain) -> Loss {
        let gone = Set(topology.nodes(in: domain).map(\.id))
        let left = voters.filter { !gone.contains($0) && !down.contains($0) }
        return Loss(
            domain: domain, lost: voters.filter(gone.contains), left: left, majority: majority,
            verdict: verdict(leaving: left), mayLoseEntries: mayLoseEntries(leaving: left),
            carriers: carriers(leaving: left))
    }

    /// What becomes of the tablet when these of its voters are left.
    package func verdict(leaving left: [NodeID]) -> LossVerdict {
        if left.allSatisfy(witnesses.contains) { return .gone }
        // A witness that has dropped what nobody left has votes for nobody who lacks it.
        if left.count < majority || mayHaveDropped(leaving: left) { return .byOperator }
        return canAcknowledge(left) ? .byItself : .whenElsewhereAnswers
    }

    /// Whether some entry may be committed and on none of the voters that are left: those that are
    /// not could have committed it alone.
    package func mayLoseEntries(leaving left: [NodeID]) -> Bool {
        let others = voters.filter { !left.contains($0) }
        return others.count >= majority && canAcknowledge(others) || mayHaveDropped(leaving: left)
    }

    /// The witnesses that are left, when they and those that are not could have committed an entry
    /// without any copy that is left.
    package func carriers(leaving left: [NodeID]) -> [NodeID] {
        let others = voters.filter { !left.contains($0) }
        let carriers = left.filter(witnesses.contains)
        let isReachable =
            others.count < majority && others.count + carriers.count >= majority
            && canAcknowledge(others)
        return isReachable && !mayHaveDropped(leaving: left) ? carriers : []
    }

    /// Whether witnesses that are left may have helped to commit an entry that no copy left has,
    /// and dropped it: the copies that are lost stood in two of the places that they go by.
    private func mayHaveDropped(leaving left: [NodeID]) -> Bool {
        let carriers = left.filter(witnesses.contains)
        guard !carriers.isEmpty else { return false }
        let others = voters.filter { !left.contains($0) }
        return others.count + carriers.count >= majority && canAcknowledge(others)
            && places(of: others, at: keptUntil) >= 2
    }

    /// Whether these stand in as many places as the rule asks for.
    private func canAcknowledge(_ voters: [NodeID]) -> Bool {
        guard let level = acknowledgement.level else { return true }
        return places(of: voters, at: level) >= 2
    }

    /// In how many places those of `voters` stand that have data.
    private func places(of voters: [NodeID], at level: FailureLevel) -> Int {
        let domains = voters.filter { !witnesses.contains($0) }.compactMap {
            topology.node($0)?.domain(at: level)
        }
        return Set(domains).count
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
