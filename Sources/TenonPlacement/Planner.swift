import TenonCore

/// One run of the planner: what the steps so far would make of the cluster, and the steps.
struct Planner {
    private(set) var steps: [Placement.Step] = []
    private let nodes: [Placement.Node]
    private var tablets: [Placement.Tablet]
    /// Replicas and leaders of each node, by its place in `nodes`.
    private var replicaCounts: [Int]
    private var leaderCounts: [Int]
    private var movesUnderWay = 0
    /// Tablets that a step of this run concerns already, by place.
    private var isTouched: [Bool]

    init(_ placement: Placement) {
        nodes = placement.nodes.sorted { $0.id < $1.id }
        tablets = placement.tablets
        replicaCounts = Array(repeating: 0, count: nodes.count)
        leaderCounts = replicaCounts
        isTouched = Array(repeating: false, count: tablets.count)
        for tablet in tablets {
            for member in tablet.wanted { count(member.node, 1) }
            if let place = place(of: tablet.leader) { leaderCounts[place] += 1 }
        }
    }

    private func place(of node: NodeID) -> Int? { nodes.firstIndex { $0.id == node } }

    private func node(_ id: NodeID) -> Placement.Node? { place(of: id).map { nodes[$0] } }

    private mutating func count(_ node: NodeID, _ change: Int) {
        if let place = place(of: node) { replicaCounts[place] += change }
    }

    // MARK: Under way

    /// Has changes go on, forgets targets that are reached, and gives up those that cannot be:
    /// a node of theirs is to go, or is gone before it had a vote.
    mutating func advanceThoseUnderWay() {
        for place in tablets.indices where !tablets[place].isSettled {
            let tablet = tablets[place]
            isTouched[place] = true
            if tablet.target.isEmpty {
                // Learners that nobody wants, or a joint configuration left behind: its leader
                // brings it to an end by itself once it is told the voters it has.
                retarget(place, tablet.voters, tablet.nextReplica)
            } else if tablet.target == tablet.voters, tablet.learners.isEmpty, !tablet.isJoint {
                isTouched[place] = false
                tablets[place].target = []
                steps.append(.settled(tablet.id))
            } else if tablet.target.contains(where: { cannotCome($0, to: tablet) }) {
                retarget(place, tablet.voters, tablet.nextReplica)
            } else {
                movesUnderWay += 1
                steps.append(.advance(tablet.id))
            }
        }
    }

    private func cannotCome(_ member: Member, to tablet: Placement.Tablet) -> Bool {
        guard !tablet.voters.contains(member) else { return false }
        // There is another replica of the tablet on its node: of an earlier target, by a directory
        // that had not heard of it. The new one would put it out, a voter.
        let isTaken = tablet.voters.contains { $0.node == member.node }
        if isTaken, !isPlanted(.replicaAddedUnderOldID) { return true }
        // Numbers only rise (Rule I3): it was a member before, of a directory that knew less than
        // the tablet's leader, and its tombstone keeps it away.
        let wasBefore = tablet.voters.contains { member.replica < $0.replica }
        if wasBefore, !isPlanted(.replicaAddedUnderOldID) { return true }
        return node(member.node).map { !$0.isAlive || !$0.keepsReplicas } ?? true
    }

    private mutating func retarget(
        _ place: Int, _ target: [Member], _ nextReplica: ReplicaID
    ) {
        for member in tablets[place].wanted { count(member.node, -1) }
        for member in target { count(member.node, 1) }
        tablets[place].target = target
        tablets[place].nextReplica = nextReplica
        isTouched[place] = true
        steps.append(
            .retarget(tablets[place].id, target: target, nextReplica: nextReplica))
    }

    // MARK: Repair

    /// Gives tablets the number of voters they should have, on nodes that keep replicas.
    mutating func repair() {
        for place in tablets.indices where !isTouched[place] && !tablets[place].isHeld {
            guard movesUnderWay < Placement.movesMax else { return }
            guard let target = repaired(tablets[place]) else { continue }
            movesUnderWay += 1
            retarget(place, target.voters, target.nextReplica)
        }
    }

    /// The voters that a tablet should have next; nil when they are right.
    ///
    /// Of those that must go one makes room for one that comes, so that the number of voters never
    /// falls below what it is. All that are missing come at once: an even number of voters
    /// survives no more than the odd one below it.
    private func repaired(
        _ tablet: Placement.Tablet
    ) -> (voters: [Member], nextReplica: ReplicaID)? {
        let wanted = votersWanted(tablet)
        var target = tablet.voters.filter { node($0.node)?.keepsReplicas ?? false }
        while target.count > wanted, let surplus = mostLoaded(of: target, of: tablet) {
            target.removeAll { $0 == surplus }
        }
        // Without a node in their place, those that should go stay: fewer copies would be worse.
        var going = tablet.voters.filter { !(node($0.node)?.keepsReplicas ?? false) }
        going.removeLast(max(0, going.count - (wanted - target.count)))
        var next = tablet.nextReplica
        func newcomer(replacing leaving: Member?) -> Member? {
            let replaced = leaving.flatMap { node($0.node) }
            guard let node = bestNode(without: target + going, replacing: replaced) else {
                return nil
            }
            defer { next = next.next }
            return Member(replica: next, node: node)
        }
        while target.count + going.count < wanted, let member = newcomer(replacing: nil) {
            target.append(member)
        }
        if let leaving = going.first, let member = newcomer(replacing: leaving) {
            target.append(member)
            going.removeFirst()
        }
        target = (target + going).inOrder
        let isEven = target.count % 2 == 0 && target.count > tablet.voters.count
        guard target != tablet.voters, !target.isEmpty, !isEven else { return nil }
        return (target, next)
    }

    /// The largest odd number of voters that the tablet is to have and nodes allow. Nodes that
    /// are down count: that they come back is likelier than that the tablet is better off with
    /// fewer voters.
    private func votersWanted(_ tablet: Placement.Tablet) -> Int {
        let able = nodes.count { $0.keepsReplicas }
        let count = max(1, min(tablet.replicas, able))
        return count % 2 == 0 ? count - 1 : count
    }

    private func mostLoaded(of voters: [Member], of tablet: Placement.Tablet) -> Member? {
        // The leader last: taking it away costs a handover.
        func rank(_ member: Member) -> (Int, Int, ReplicaID) {
            (load(member.node), member.node == tablet.leader ? 0 : 1, member.replica)
        }
        return voters.max { rank($0) < rank($1) }
    }

    private func load(_ node: NodeID) -> Int { place(of: node).map { replicaCounts[$0] } ?? 0 }

    /// The node with the fewest replicas that may take one.
    private func bestNode(
        without members: [Member], replacing leaving: Placement.Node?
    ) -> NodeID? {
        let able = nodes.filter { node in
            node.keepsReplicas && node.isAlive && !members.contains { $0.node == node.id }
        }
        if let leaving, able.contains(where: { $0.id == leaving.replacement }) {
            return leaving.replacement
        }
        return able.min { (load($0.id), $0.id) < (load($1.id), $1.id) }?.id
    }

    // MARK: Balance

    /// Moves replicas from nodes that have more to nodes that have fewer. Two apart is as even as
    /// it need be: closer, every small change would set data in motion.
    mutating func balanceReplicas(_ history: inout MoveHistory, now: Instant) {
        for place in tablets.indices where !isTouched[place] && !tablets[place].isHeld {
            guard movesUnderWay < Placement.movesMax else { return }
            guard let (from, to) = unevenPair(for: tablets[place]),
                history.take(tablets[place].id, now: now)
            else { continue }
            let newcomer = Member(replica: tablets[place].nextReplica, node: to)
            let target = tablets[place].voters.filter { $0 != from } + [newcomer]
            movesUnderWay += 1
            retarget(place, target.inOrder, tablets[place].nextReplica.next)
        }
    }

    private func unevenPair(for tablet: Placement.Tablet) -> (Member, NodeID)? {
        guard tablet.isSettled,
            let from = mostLoaded(of: tablet.voters, of: tablet),
            let to = bestNode(without: tablet.voters, replacing: nil),
            load(from.node) >= load(to) + 2
        else { return nil }
        return (from, to)
    }

    // MARK: Leaders

    /// Has nodes that may not lead hand over, without regard to balance: an operator waits.
    mutating func freeDrainedLeaders() {
        for place in tablets.indices {
            guard let leader = node(tablets[place].leader), !leader.mayLead,
                let to = bestLeader(for: tablets[place])
            else { continue }
            transfer(place, to: to)
        }
    }

    private func bestLeader(for tablet: Placement.Tablet) -> NodeID? {
        let able = tablet.voters.compactMap { place(of: $0.node) }.filter {
            nodes[$0].mayLead && nodes[$0].isAlive && nodes[$0].id != tablet.leader
        }
        let best = able.min { (leaderCounts[$0], $0) < (leaderCounts[$1], $1) }
        return best.map { nodes[$0].id }
    }

    private mutating func transfer(_ place: Int, to node: NodeID) {
        if let from = self.place(of: tablets[place].leader) { leaderCounts[from] -= 1 }
        if let to = self.place(of: node) { leaderCounts[to] += 1 }
        isTouched[place] = true
        tablets[place].leader = node
        steps.append(.transfer(tablets[place].id, to: node))
    }

    /// Moves leaderships from nodes that have more to nodes that have fewer.
    mutating func balanceLeaders(_ history: inout MoveHistory, now: Instant) {
        var transfers = 0
        for place in tablets.indices where !isTouched[place] {
            guard transfers < Placement.transfersMax else { return }
            guard let from = self.place(of: tablets[place].leader),
                let node = bestLeader(for: tablets[place]), let to = self.place(of: node),
                leaderCounts[from] >= leaderCounts[to] + 2,
                history.take(tablets[place].id, now: now)
            else { continue }
            transfers += 1
            transfer(place, to: node)
        }
    }
}

extension Placement.Tablet {
    /// The voters it is to have, as far as somebody has said.
    fileprivate var wanted: [Member] { target.isEmpty ? voters : target }
}
