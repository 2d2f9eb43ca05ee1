import TenonCore

/// One run of the planner: what the steps so far would make of the cluster, and the steps.
struct Planner {
    var steps: [Placement.Step] = []
    let layout: VoterLayout
    var tablets: [Placement.Tablet]
    /// Replicas and leaders of each node, by its place in ``nodes``.
    private(set) var replicaCounts: [Int]
    var leaderCounts: [Int]
    var movesUnderWay = 0
    /// Tablets that a step of this run concerns already, by place.
    var isTouched: [Bool]
    /// The places of nodes that may get replicas now.
    let ableToTake: [Int]
    private let placesByID: [NodeID: Int]
    private var views: [Placement.Policy: PolicyLayout] = [:]
    private var leastCosts: [Placement.Policy: [Int: LayoutCost]] = [:]

    init(_ placement: Placement) {
        layout = VoterLayout(placement.nodes)
        tablets = placement.tablets
        let nodes = layout.nodes
        replicaCounts = Array(repeating: 0, count: nodes.count)
        leaderCounts = replicaCounts
        isTouched = Array(repeating: false, count: tablets.count)
        ableToTake = nodes.indices.filter { nodes[$0].keepsReplicas && nodes[$0].isAlive }
        placesByID = Dictionary(uniqueKeysWithValues: nodes.indices.map { (nodes[$0].id, $0) })
        for tablet in tablets {
            for member in tablet.wanted + tablet.targetLearners { count(member.node, 1) }
            if let place = place(of: tablet.leader) { leaderCounts[place] += 1 }
        }
    }

    /// By id.
    var nodes: [Placement.Node] { layout.nodes }

    func place(of node: NodeID) -> Int? { placesByID[node] }

    private func places(_ members: [Member]) -> [Int] { members.compactMap { place(of: $0.node) } }

    /// The nodes as the policy of a tablet sees them.
    mutating func view(of tablet: Placement.Tablet) -> PolicyLayout {
        if let view = views[tablet.policy] { return view }
        let view = layout.under(tablet.policy)
        views[tablet.policy] = view
        return view
    }

    /// The least that `count` voters cost anywhere, on nodes that are down, too; nil when there are
    /// too few nodes.
    private mutating func leastCost(
        _ count: Int, under policy: Placement.Policy, _ view: PolicyLayout
    ) -> LayoutCost? {
        if let known = leastCosts[policy]?[count] { return known }
        let best = view.best(count, isAble: { _ in true }, load: { _ in 0 })
        guard let best else { return nil }
        let cost = view.cost(of: best)
        leastCosts[policy, default: [:]][count] = cost
        return cost
    }

    /// What becomes a voter on a node: the learner that is there, which has the data already, or a
    /// replica that nobody has heard of (Rule I3), a witness where the node is one (Rule C7).
    private func newVoter(
        of tablet: Placement.Tablet, on id: NodeID, _ next: inout ReplicaID
    ) -> Member {
        let learner = tablet.targetLearners.first { $0.node == id && !tablet.gone.contains($0) }
        if let learner { return learner }
        defer { next = next.next }
        return Member(replica: next, node: id, isWitness: node(id)?.isWitness ?? false)
    }

    func node(_ id: NodeID) -> Placement.Node? { place(of: id).map { nodes[$0] } }

    mutating func count(_ node: NodeID, _ change: Int) {
        if let place = place(of: node) { replicaCounts[place] += change }
    }

    // MARK: Under way

    /// Has changes go on, forgets targets that are reached, and gives up those that cannot be:
    /// a node of theirs is to go, or is gone before it had a vote.
    mutating func advanceThoseUnderWay() {
        for place in tablets.indices where !tablets[place].isSettled {
            let tablet = tablets[place]
            isTouched[place] = true
            if dropMisplacedLearner(place) { continue }
            if tablet.target.isEmpty {
                // Learners that nobody wants, or a joint configuration left behind: its leader
                // brings it to an end by itself once it is told the voters it has.
                retarget(place, tablet.voters, tablet.nextReplica)
            } else if tablet.target == tablet.voters, !tablet.isJoint,
                tablet.learners == tablet.targetLearners,
                tablet.targetAcknowledgement == tablet.acknowledgement
            {
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
        if tablet.gone.contains(member) { return true }
        // There is another replica of the tablet on its node: of an earlier target, by a directory
        // that had not heard of it. The new one would put it out, a voter.
        let isTaken = tablet.voters.contains { $0.node == member.node }
        if isTaken, !isPlanted(.replicaAddedUnderOldID) { return true }
        // Numbers only rise (Rule I3): it was a member before, of a directory that knew less than
        // the tablet's leader, and its tombstone keeps it away.
        let isLearner = tablet.learners.contains(member)
        let wasBefore = !isLearner && tablet.voters.contains { member.replica < $0.replica }
        if wasBefore, !isPlanted(.replicaAddedUnderOldID) { return true }
        return node(member.node).map { !$0.isAlive || !$0.keepsReplicas } ?? true
    }

    private mutating func retarget(
        _ place: Int, _ target: [Member], _ nextReplica: ReplicaID
    ) {
        for member in tablets[place].wanted { count(member.node, -1) }
        for member in target { count(member.node, 1) }
        let acknowledgement = acknowledgement(of: target, for: tablets[place])
        // A learner that gets a vote is none any more.
        for member in tablets[place].targetLearners where target.contains(member) {
            count(member.node, -1)
        }
        tablets[place].targetLearners.removeAll { target.contains($0) }
        tablets[place].target = target
        tablets[place].targetAcknowledgement = acknowledgement
        tablets[place].nextReplica = nextReplica
        isTouched[place] = true
        steps.append(
            .retarget(
                tablets[place].id, target: target, acknowledgement, nextReplica: nextReplica))
    }

    /// What commits of a tablet are to need once `target` are its voters: what its policy asks,
    /// or, while these voters would not stand the loss of one under it, what is in force.
    private func acknowledgement(
        of target: [Member], for tablet: Placement.Tablet
    ) -> Acknowledgement {
        layout.acknowledgement(
            of: target.map(\.node), asked: tablet.policy.acknowledgement,
            inForce: tablet.acknowledgement.rule) ?? tablet.acknowledgement
    }

    /// Whether a tablet may get these voters: neither the rule that its policy asks for nor the
    /// one in force may be left without voters elsewhere, or no write would be acknowledged again.
    private func mayHave(_ target: [Member], _ tablet: Placement.Tablet) -> Bool {
        layout.acknowledgement(
            of: target.map(\.node), asked: tablet.policy.acknowledgement,
            inForce: tablet.acknowledgement.rule) != nil
    }

    // MARK: Repair

    /// Gives tablets the number of voters they should have, on nodes that keep replicas.
    mutating func repair() {
        for place in tablets.indices where !isTouched[place] && !tablets[place].isHeld {
            guard movesUnderWay < Placement.movesMax else { return }
            let view = view(of: tablets[place])
            guard let target = repaired(tablets[place], view),
                mayHave(target.voters, tablets[place])
            else { continue }
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
        _ tablet: Placement.Tablet, _ view: PolicyLayout
    ) -> (voters: [Member], nextReplica: ReplicaID)? {
        var target = tablet.voters.filter { node($0.node)?.keepsReplicas ?? false }
        // Of two that a recovery left none is taken away: a copy is worth more than an odd number of
        // voters.
        let kept = tablet.voters.count == 2 ? min(target.count, tablet.replicas) : 0
        let wanted = max(votersWanted(tablet), kept)
        while target.count > wanted, let surplus = surplus(of: target, of: tablet, view) {
            target.removeAll { $0 == surplus }
        }
        // Without a node in their place, those that should go stay: fewer copies would be worse.
        var going = tablet.voters.filter { !(node($0.node)?.keepsReplicas ?? false) }
        going.removeLast(max(0, going.count - (wanted - target.count)))
        var next = tablet.nextReplica
        func newcomer(replacing leaving: Member?) -> Member? {
            let replaced = leaving.flatMap { node($0.node) }
            let staying = (target + going).filter { $0 != leaving }
            guard let node = bestNode(beside: staying, replacing: replaced, view) else {
                return nil
            }
            return newVoter(of: tablet, on: node, &next)
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

    /// Nodes that are down count: that they come back is likelier than that the tablet is better
    /// off with fewer voters.
    private func votersWanted(_ tablet: Placement.Tablet) -> Int {
        Placement.votersWanted(
            tablet.replicas,
            nodes: Placement.usable(nodes.filter(\.keepsReplicas).map(\.isWitness)))
    }

    /// The voter without which the others do best; of those that are equal, on the node that has
    /// the most to do.
    private func surplus(
        of voters: [Member], of tablet: Placement.Tablet, _ view: PolicyLayout
    ) -> Member? {
        func rank(_ member: Member) -> (LayoutCost, Int, Int, UInt64) {
            // The leader last: taking it away costs a handover.
            (
                view.cost(of: places(voters.filter { $0 != member })), -load(member.node),
                member.node == tablet.leader ? 1 : 0, UInt64.max - member.replica.rawValue
            )
        }
        return voters.min { rank($0) < rank($1) }
    }

    private func load(_ node: NodeID) -> Int { place(of: node).map { replicaCounts[$0] } ?? 0 }

    /// The node that makes the best set of voters with those that stay; of those that are equal,
    /// with the fewest replicas.
    private func bestNode(
        beside staying: [Member], replacing leaving: Placement.Node?, _ view: PolicyLayout
    ) -> NodeID? {
        let taken = places(staying)
        let replaced = leaving.flatMap { place(of: $0.id) }
        let misplaced = view.cost(of: taken).misplaced
        let able = ableToTake.filter { place in
            guard !taken.contains(place), place != replaced else { return false }
            // A witness is no copy: it takes no copy's place.
            if nodes[place].isWitness, let leaving, !leaving.isWitness { return false }
            return view.cost(of: taken + [place]).misplaced <= misplaced
        }
        if let leaving, let place = place(of: leaving.replacement), able.contains(place) {
            return leaving.replacement
        }
        func rank(_ place: Int) -> (LayoutCost, Int, Int) {
            (view.cost(of: taken + [place]), replicaCounts[place], place)
        }
        return able.min { rank($0) < rank($1) }.map { nodes[$0].id }
    }

    // MARK: Policy

    /// Moves voters to where their policy wants them, one at a time. Each move makes it better by
    /// what does not change with who is down, so nothing oscillates. Towards a node that comes and goes
    /// it is tried only so often, unless what is to be survived would not be.
    mutating func bringToPolicy(_ history: inout MoveHistory, now moment: Instant) {
        for place in tablets.indices where !isTouched[place] && !tablets[place].isHeld {
            guard movesUnderWay < Placement.movesMax else { return }
            let view = view(of: tablets[place])
            let now = places(tablets[place].voters)
            guard now.count == tablets[place].voters.count else { continue }
            // Most tablets are as well off as they can be: a search for each would be what a look
            // at many tablets costs.
            let least = leastCost(now.count, under: tablets[place].policy, view)
            if let least, view.cost(of: now) <= least { continue }
            let better = view.exchange(in: now, for: ableToTake) { replicaCounts[$0] }
            guard let better,
                let leaving = now.first(where: { !better.contains($0) }),
                let coming = better.first(where: { !now.contains($0) })
            else { continue }
            let isAtRisk = view.cost(of: now).isRiskier(than: view.cost(of: better))
            let (id, node) = (tablets[place].id, nodes[coming].id)
            exchange(place, nodes[leaving].id, for: node) {
                isAtRisk || history.take(id, votedForBy: node, now: moment)
            }
        }
    }

    /// - Parameter isGranted: asked last, when nothing else is against it.
    private mutating func exchange(
        _ place: Int, _ leaving: NodeID, for coming: NodeID, if isGranted: () -> Bool
    ) {
        var next = tablets[place].nextReplica
        let newcomer = newVoter(of: tablets[place], on: coming, &next)
        let target = tablets[place].voters.filter { $0.node != leaving } + [newcomer]
        guard mayHave(target.inOrder, tablets[place]), isGranted() else { return }
        movesUnderWay += 1
        retarget(place, target.inOrder, next)
    }

    /// Has commits need what policies ask, wherever voters stand so that it can be asked, and
    /// follows what is known of where they stand.
    mutating func bringToAcknowledgement() {
        for place in tablets.indices where !isTouched[place] && !tablets[place].isHeld {
            let tablet = tablets[place]
            guard movesUnderWay < Placement.movesMax, tablet.isSettled,
                acknowledgement(of: tablet.voters, for: tablet) != tablet.acknowledgement
            else { continue }
            movesUnderWay += 1
            retarget(place, tablet.voters, tablet.nextReplica)
        }
    }

    // MARK: Balance

    /// Moves replicas from nodes that have more to nodes that have fewer. Two apart is as even as
    /// it need be: closer, every small change would set data in motion.
    mutating func balanceReplicas(_ history: inout MoveHistory, now: Instant) {
        for place in tablets.indices where !isTouched[place] && !tablets[place].isHeld {
            guard movesUnderWay < Placement.movesMax else { return }
            let view = view(of: tablets[place])
            guard let (from, to) = unevenPair(for: tablets[place], view) else { continue }
            let id = tablets[place].id
            exchange(place, from, for: to) { history.take(id, now: now) }
        }
    }

    /// The voter and the node without one that are furthest apart, of those of which the policy
    /// does not mind an exchange.
    private func unevenPair(
        for tablet: Placement.Tablet, _ view: PolicyLayout
    ) -> (from: NodeID, to: NodeID)? {
        let voters = tablet.voters
        guard tablet.isSettled, places(voters).count == voters.count else { return nil }
        let before = view.cost(of: places(voters))
        var best: (rank: (Int, Int, UInt64), from: NodeID, to: NodeID)?
        for member in voters {
            for place in ableToTake where !voters.contains(where: { $0.node == nodes[place].id }) {
                let difference = load(member.node) - replicaCounts[place]
                let rank = (
                    difference, member.node == tablet.leader ? 0 : 1, member.replica.rawValue
                )
                guard difference >= 2, best.map({ rank > $0.rank }) ?? true,
                    evensOut(tablet, member.node, nodes[place].id)
                else { continue }
                let others = places(voters.filter { $0 != member })
                guard view.cost(of: others + [place]) <= before else { continue }
                best = (rank, member.node, nodes[place].id)
            }
        }
        return best.map { ($0.from, $0.to) }
    }
}

extension Placement.Tablet {
    /// The voters it is to have, as far as somebody has said.
    fileprivate var wanted: [Member] { target.isEmpty ? voters : target }
}
