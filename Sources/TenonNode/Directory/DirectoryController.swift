import TenonCore
import TenonPlacement
import TenonWire

/// What the leader of the directory does: it writes down what leaders of tablets report, makes and
/// drops tablets, and carries the cluster towards where the planner wants it.
///
/// All that has to survive is in the directory; this may be lost with any leader.
struct DirectoryController {
    /// How often it looks at everything.
    static let interval = TimeSpan.milliseconds(100)
    /// With so many tablets a look costs milliseconds: it is taken when there is news…
    private static let manyTablets = 256
    /// … or after so long, for what only time brings about.
    private static let quietInterval = TimeSpan.seconds(10)

    /// The content of tablet 1 as last read here, and the entry after which it was read.
    var state = DirectoryState()
    var stateIndex = LogIndex.zero
    /// The scan under way.
    var scan: DirectoryScan?
    /// Nothing is decided before this entry is applied: a change of ours, of this term.
    var waitsFor = LogIndex.zero
    /// In which this node leads the directory, or last did.
    private(set) var term = Term.zero
    var nextRound = Instant.zero
    /// What a look may lead to other steps for has changed since the last one.
    var hasNews = true
    /// Who was there at the last look.
    private var alive: [NodeID] = []
    private var lookedAt = Instant.zero
    var moves = MoveHistory()
    /// Tablets that are too large, as their leaders said since the last look.
    var wishes: [TabletID: SplitWish] = [:]
    var sizeSplits = SizeSplits()
    /// What leaders reported and is not written down, and who leads; by tablet.
    private(set) var reports: [TabletID: TabletDescriptor] = [:]
    /// By tablet: the directory as its leader knew it when it last reported.
    private var reportedKnowing: [TabletID: Timestamp] = [:]
    /// Where nodes say that they stand, when their records say otherwise.
    private var localities: [NodeID: String] = [:]
    /// Replicas of dropped tablets of which their nodes said that they are gone.
    private(set) var removed: Set<Member.OfTablet> = []

    /// This node leads the directory in `newTerm`. What an earlier term of its own waited for may
    /// never come: another leader may have taken its place in the log.
    mutating func lead(in newTerm: Term) {
        guard term != newTerm else { return }
        forget()
        term = newTerm
    }

    /// This node does not lead the directory any more: another begins from what is written.
    mutating func forget() {
        reports = [:]
        reportedKnowing = [:]
        localities = [:]
        removed = []
        waitsFor = .zero
        moves = MoveHistory()
        wishes = [:]
        sizeSplits = SizeSplits()
        hasNews = true
    }

    /// - Parameter version: of the directory as the tablet's leader knows it.
    mutating func take(_ report: TabletDescriptor, knowing version: Timestamp) {
        if version > reportedKnowing[report.id] ?? .zero {
            reportedKnowing[report.id] = version
            if state.directory.isOneLeaving { hasNews = true }
        }
        if let known = reports[report.id], known == report || known.isNewer(than: report) {
            return
        }
        reports[report.id] = report
        hasNews = true
    }

    mutating func take(locality: String, of node: NodeID) {
        guard localities[node] != locality else { return }
        localities[node] = locality
        hasNews = true
    }

    /// Whether a look at everything is worth it now; it counts as taken then.
    mutating func takeNews(alive: [NodeID], now: Instant) -> Bool {
        let isDue =
            hasNews || alive != self.alive
            || state.directory.tablets.count < DirectoryController.manyTablets
            || now >= lookedAt + DirectoryController.quietInterval
        guard isDue else { return false }
        hasNews = false
        self.alive = alive
        lookedAt = now
        return true
    }

    mutating func note(removed replica: ReplicaID, of tablet: TabletID, on node: NodeID) {
        hasNews = true
        removed.insert(
            Member.OfTablet(tablet: tablet, member: Member(replica: replica, node: node)))
    }

    // MARK: What to write

    /// What was reported and is newer than what is written.
    func reportedChange() -> DirectoryChange {
        var change = DirectoryChange(state)
        for tablet in state.directory.tablets {
            guard !change.isFull, let report = reports[tablet.id], report.isNewer(than: tablet)
            else { continue }
            var newer = report
            newer.target = tablet.target
            // One that was there and is not any more was taken out by a recovery, or by a word of an
            // earlier leader of the directory: its number is used up.
            newer.targetLearners = tablet.targetLearners.filter {
                !tablet.learners.contains($0) || report.learners.contains($0)
            }
            newer.targetAcknowledgement = tablet.targetAcknowledgement
            newer.nextReplica = tablet.nextReplica
            change.put(newer)
            if let split = state.split(of: tablet.id), isDone(split, by: report),
                state.tablet(split.half) == nil
            {
                change.put(half(of: split, tablet))
            }
        }
        return change
    }

    /// Where nodes stand, when it is not as it is written.
    func localityChange() -> DirectoryChange {
        var change = DirectoryChange(state)
        for var node in state.directory.nodes where !change.isFull {
            guard let locality = localities[node.id], locality != node.locality else { continue }
            node.locality = locality
            change.put(node)
        }
        return change
    }

    /// What dropped keyspaces and nodes that left leave behind: records that can go.
    func clearedChange() -> DirectoryChange {
        var change = DirectoryChange(state)
        let directory = state.directory
        for tablet in directory.tablets where isDropped(tablet) && !change.isFull {
            if tablet.everyone.allSatisfy({ isRemoved($0, of: tablet.id) }) {
                change.delete(.tablet(tablet.id))
            }
        }
        for keyspace in directory.keyspaces where keyspace.isDropped && !change.isFull {
            if !directory.tablets.contains(where: { $0.keyspace == keyspace.id }) {
                change.delete(.keyspace(keyspace.id))
            }
        }
        for node in directory.nodes where node.state == .leaving && !change.isFull {
            if isLeft(node.id) { change.delete(.node(node.id)) }
        }
        return change
    }

    /// Whether nothing is left on a node that leaves. What is written does not tell: a change of
    /// members that was made before may not have been heard of. So each tablet's leader has to have
    /// reported since it knows that the node leaves.
    private func isLeft(_ node: NodeID) -> Bool {
        guard let since = state.version(of: .node(node)) else { return false }
        return state.directory.tablets.allSatisfy { tablet in
            let isSettled =
                tablet.voters.isEmpty || isDropped(tablet)
                || reportedKnowing[tablet.id] ?? .zero >= since
            return isSettled && !tablet.isOn(node)
        }
    }

    func isDropped(_ tablet: TabletDescriptor) -> Bool {
        state.directory.keyspace(tablet.keyspace)?.isDropped ?? false
    }

    func isRemoved(_ member: Member, of tablet: TabletID) -> Bool {
        // A node that is gone for good has nothing to remove.
        state.directory.node(member.node) == nil
            // Who says that a replica is gone does not say what it was.
            || removed.contains(
                Member.OfTablet(
                    tablet: tablet, member: Member(replica: member.replica, node: member.node)))
    }

    // MARK: Planning

    /// The planner's next steps, and their part that is to be written.
    mutating func plan(
        isAlive: (NodeID) -> Bool, now: Instant
    ) -> (steps: [Placement.Step], change: DirectoryChange) {
        let steps = placement(isAlive).steps(&moves, now: now)
        var change = DirectoryChange(state)
        for step in steps where !change.isFull {
            switch step {
            case .retarget(let id, let target, let acknowledgement, let nextReplica):
                guard var tablet = state.tablet(id) else { continue }
                tablet.target = numbered(target, of: tablet)
                tablet.targetLearners.removeAll { target.contains($0) }
                tablet.targetAcknowledgement = acknowledgement
                tablet.nextReplica = nextReplica
                change.put(tablet)
            case .keepLearners(let id, let learners, let nextReplica):
                guard var tablet = state.tablet(id) else { continue }
                tablet.targetLearners = learners
                tablet.nextReplica = nextReplica
                change.put(tablet)
            case .settled(let id):
                guard var tablet = state.tablet(id) else { continue }
                tablet.target = []
                tablet.targetAcknowledgement = .majority
                change.put(tablet)
            case .advance, .transfer: continue
            }
        }
        return (steps, change)
    }

    /// The planner's target, its newcomers under numbers that no replica had (Rule I3).
    private func numbered(_ target: [Member], of tablet: TabletDescriptor) -> [Member] {
        guard isPlanted(.replicaAddedUnderOldID) else { return target }
        return target.map { member in
            tablet.everyone.contains(member)
                ? member
                : Member(
                    replica: StaticDirectory.replica(on: member.node), node: member.node,
                    isWitness: member.isWitness)
        }.inOrder
    }

    /// Voters of the directory's own tablet, when there are nodes enough.
    private static let directoryReplicas = 5

    private func placement(_ isAlive: (NodeID) -> Bool) -> Placement {
        let directory = state.directory
        let nodes = directory.nodes.map { Placement.Node($0, isAlive: isAlive($0.id)) }
        let ownPolicy = DirectoryController.directoryPolicy(nodes)
        let policies = Dictionary(
            directory.keyspaces.map { ($0.id, $0.policy) }, uniquingKeysWith: { one, _ in one })
        // Those without voters are being made, those of dropped keyspaces go.
        let tablets = directory.tablets.filter { !$0.voters.isEmpty && !isDropped($0) }
        return Placement(
            nodes: nodes,
            tablets: tablets.map { tablet in
                Placement.Tablet(
                    id: tablet.id, replicas: replicas(of: tablet), voters: tablet.voters,
                    learners: tablet.learners, isJoint: tablet.isJoint, target: tablet.target,
                    targetLearners: tablet.targetLearners, gone: gone(of: tablet),
                    acknowledgement: tablet.acknowledgement,
                    targetAcknowledgement: tablet.targetAcknowledgement,
                    nextReplica: tablet.nextReplica,
                    leader: reports[tablet.id]?.leader ?? NodeID(0), isHeld: isHeld(tablet),
                    policy: policies[tablet.keyspace]?.tablet(
                        from: tablet.lower, to: tablet.upper) ?? ownPolicy)
            }.sorted { $0.id < $1.id })
    }

    /// Those that a tablet is to have and that said to be gone for good: a word of an earlier leader
    /// of the directory, or a recovery, took them out of it.
    private func gone(of tablet: TabletDescriptor) -> [Member] {
        (tablet.target + tablet.targetLearners).filter {
            removed.contains(Member.OfTablet(tablet: tablet.id, member: $0))
        }
    }

    /// The directory survives as much as anything on these nodes can.
    static func directoryPolicy(_ nodes: [Placement.Node]) -> Placement.Policy {
        let layout = VoterLayout(nodes)
        let able = layout.nodes.indices.filter { layout.nodes[$0].keepsReplicas }
        let count = Placement.votersWanted(
            directoryReplicas, nodes: Placement.usable(able.map { layout.nodes[$0].isWitness }))
        return Placement.Policy(survive: layout.highestLevel(count) { able.contains($0) })
    }

    private func replicas(of tablet: TabletDescriptor) -> Int {
        if tablet.id == .directory { return DirectoryController.directoryReplicas }
        return state.directory.keyspace(tablet.keyspace)?.replicas
            ?? Directory.Keyspace.replicasDefault
    }
}

extension Member {
    /// A replica, named so that no other has the name.
    struct OfTablet: Hashable, Sendable {
        var tablet: TabletID
        var member: Member
    }
}

extension TabletDescriptor {
    /// All who have a replica, or should have one.
    var everyone: [Member] {
        var all = voters
        for member in learners + target + targetLearners where !all.contains(member) {
            all.append(member)
        }
        return all
    }
}
