import TenonCore

/// Copies without a vote, one in each city that has nodes and no voter, where a policy has reads
/// served near their clients.
///
/// They are nobody's redundancy: no quorum, no acknowledgement and no number of voters counts them,
/// and whatever becomes of them costs no write. What they cost is a copy of the data, so they
/// change one at a time, behind every change of voters, and are not made anew for a restart.
extension Planner {
    /// Brings the learners of tablets a step nearer to what their policies ask.
    mutating func bringLearners(_ history: inout MoveHistory, now: Instant) {
        for place in tablets.indices where !isTouched[place] && !tablets[place].isHeld {
            guard movesUnderWay < Placement.movesMax else { return }
            let tablet = tablets[place]
            guard tablet.isSettled else { continue }
            if let surplus = tablet.targetLearners.first(where: { isSurplus($0, of: tablet) }) {
                keepLearners(place, tablet.targetLearners.filter { $0 != surplus })
            } else if let city = cityWithoutCopy(of: tablet),
                let node = nodeForCopy(of: tablet, in: city)
            {
                addLearner(place, on: node, insteadOf: nil)
            } else {
                replaceAbsentLearner(place, &history, now: now)
            }
        }
    }

    /// Whether moving a voter from one node to another takes a copy from the first: where every city
    /// has a copy, one that leaves its city is made again there as a learner.
    func evensOut(_ tablet: Placement.Tablet, _ from: NodeID, _ to: NodeID) -> Bool {
        !tablet.policy.hasLocalReads || node(from)?.city == node(to)?.city
    }

    // MARK: Too many

    /// Whether nothing asks for a learner: no policy, no node that may keep it, a city that has a
    /// voter or an earlier learner; or it is gone.
    private func isSurplus(_ learner: Member, of tablet: Placement.Tablet) -> Bool {
        guard tablet.policy.hasLocalReads, !tablet.gone.contains(learner),
            let node = node(learner.node), node.keepsReplicas, !node.isWitness,
            let city = node.city
        else { return true }
        let earlier = tablet.targetLearners.prefix { $0 != learner }
        return (tablet.votersWithData + earlier).contains { self.node($0.node)?.city == city }
    }

    /// Forgets a learner that cannot be had while members change: its number is used up, or a voter is
    /// on its node that the directory had not heard of, and a node has one replica of a tablet.
    /// - Returns: whether there was one.
    mutating func dropMisplacedLearner(_ place: Int) -> Bool {
        let tablet = tablets[place]
        let misplaced = tablet.targetLearners.first { learner in
            tablet.gone.contains(learner) || tablet.voters.contains { $0.node == learner.node }
        }
        guard let misplaced else { return false }
        keepLearners(place, tablet.targetLearners.filter { $0 != misplaced })
        return true
    }

    // MARK: Too few

    /// Nodes that take replicas with data: a witness answers no read (Rule C7).
    private var ableToCopy: [Int] { ableToTake.filter { !nodes[$0].isWitness } }

    /// The first city, by name, that has a node to keep a copy on, and none.
    private func cityWithoutCopy(of tablet: Placement.Tablet) -> String? {
        guard tablet.policy.hasLocalReads else { return nil }
        let copies = tablet.votersWithData + tablet.targetLearners
        let served = Set(copies.compactMap { node($0.node)?.city })
        return ableToCopy.compactMap { nodes[$0].city }.filter { !served.contains($0) }.min()
    }

    /// The node of a city with the fewest replicas, of those that have none of the tablet.
    private func nodeForCopy(of tablet: Placement.Tablet, in city: String) -> Int? {
        let taken = (tablet.voters + tablet.targetLearners).map(\.node)
        return ableToCopy.filter { nodes[$0].city == city && !taken.contains(nodes[$0].id) }
            .min { (replicaCounts[$0], $0) < (replicaCounts[$1], $1) }
    }

    /// A learner whose node has been away for long is made again on another node of its city. When
    /// the whole city is away there is nobody to serve there, and nothing to do.
    private mutating func replaceAbsentLearner(
        _ place: Int, _ history: inout MoveHistory, now: Instant
    ) {
        let tablet = tablets[place]
        for learner in tablet.targetLearners where history.isLongAway(learner.node, now: now) {
            guard let city = node(learner.node)?.city,
                let node = nodeForCopy(of: tablet, in: city),
                history.take(tablet.id, copiedAt: now)
            else { continue }
            return addLearner(place, on: node, insteadOf: learner)
        }
    }

    // MARK: Steps

    private mutating func addLearner(_ place: Int, on node: Int, insteadOf leaving: Member?) {
        let member = Member(replica: tablets[place].nextReplica, node: nodes[node].id)
        tablets[place].nextReplica = member.replica.next
        let staying = tablets[place].targetLearners.filter { $0 != leaving }
        keepLearners(place, (staying + [member]).inOrder)
    }

    private mutating func keepLearners(_ place: Int, _ learners: [Member]) {
        for member in tablets[place].targetLearners { count(member.node, -1) }
        for member in learners { count(member.node, 1) }
        tablets[place].targetLearners = learners
        isTouched[place] = true
        movesUnderWay += 1
        steps.append(
            .keepLearners(tablets[place].id, learners, nextReplica: tablets[place].nextReplica))
    }
}

extension Placement.Tablet {
    fileprivate var votersWithData: [Member] { voters.filter { !$0.isWitness } }
}

extension Placement.Node {
    /// Where it stands, as far as reads near clients go; nil when nobody says.
    fileprivate var city: String? { locality.name(at: "city") }
}
