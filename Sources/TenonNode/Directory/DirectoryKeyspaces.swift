import TenonCore
import TenonPlacement
import TenonWire

/// Orders about keyspaces, as changes of the directory; see ``DirectoryState/change(for:)``.
extension DirectoryState {
    func createKeyspace(
        _ name: String, _ settings: KeyspaceSettings, _ numbers: DirectoryNumbers,
        _ change: inout DirectoryChange
    ) throws(Refusal) {
        guard Directory.Keyspace.isName(name) else {
            throw invalid(
                "a keyspace's name has 1 to \(Limits.nameBytesMax) letters, digits, - and _")
        }
        guard directory.keyspace(named: name) == nil else {
            throw invalid("there is a keyspace \(name) already: choose another name")
        }
        let policy = settings.applied(to: PlacementPolicy())
        let keyspace = Directory.Keyspace(
            id: numbers.keyspace, name: name,
            replicas: settings.replicas ?? Directory.Keyspace.replicas(for: policy.survive),
            retention: settings.retention ?? .zero, policy: policy,
            splitAboveBytes: settings.splitAboveBytes ?? Directory.Keyspace.splitAboveDefault)
        try check(keyspace)
        let borders = policy.borders
        guard directory.keyspaces.count < Directory.keyspacesMax,
            directory.tablets.count + borders.count < Directory.tabletsMax
        else { throw invalid("the cluster has as many keyspaces or tablets as it may have") }
        change.put(keyspace)
        var next = numbers
        next.keyspace = numbers.keyspace.next
        var loads = FirstMembers(directory)
        for (lower, upper) in zip([Bytes()] + borders, borders.map(Optional.some) + [nil]) {
            let (members, acknowledgement) = try loads.members(
                of: keyspace, from: lower, to: upper)
            // Without voters yet: it is made where its target says.
            change.put(
                TabletDescriptor(
                    id: next.tablet, keyspace: keyspace.id, generation: .first, lower: lower,
                    upper: upper, configuration: Generation(0), target: members,
                    targetAcknowledgement: acknowledgement,
                    nextReplica: ReplicaID(UInt64(members.count) + 1)))
            next.tablet = next.tablet.next
        }
        change.put(next)
    }

    /// Its tablets follow by themselves: voters move, and those that lie across the border of a
    /// home are split.
    func alterKeyspace(
        _ name: String, _ settings: KeyspaceSettings, _ change: inout DirectoryChange
    ) throws(Refusal) {
        var keyspace = try keyspace(named: name)
        guard !keyspace.isDropped else { throw invalid("\(name) is being dropped") }
        let before = keyspace
        keyspace.policy = settings.applied(to: keyspace.policy)
        keyspace.retention = settings.retention ?? keyspace.retention
        keyspace.splitAboveBytes = settings.splitAboveBytes ?? keyspace.splitAboveBytes
        try checkSplitBound(keyspace)
        // Another goal may need more voters; nothing else that is said changes how many there are.
        let least = settings.survive.map { Directory.Keyspace.replicas(for: $0) } ?? 1
        keyspace.replicas = settings.replicas ?? max(keyspace.replicas, least)
        guard keyspace != before else { return }
        // What has nothing to do with where copies are can be changed whatever became of nodes.
        var same = before.policy
        same.reads = keyspace.policy.reads
        if keyspace.replicas != before.replicas || keyspace.policy != same { try check(keyspace) }
        change.put(keyspace)
    }

    /// What keyspaces must survive can be kept without a node, as far as it can be with it.
    func requirePolicies(without leaving: Directory.Node) throws(Refusal) {
        let all = directory.nodes.map { Placement.Node($0, isAlive: true) }
        for keyspace in directory.keyspaces where !keyspace.isDropped {
            guard let problem = problem(of: keyspace, on: all.filter { $0.id != leaving.id }),
                self.problem(of: keyspace, on: all) == nil
            else { continue }
            throw invalid(
                "without \(leaving.name) the policy of keyspace \(keyspace.name) cannot be kept: "
                    + "\(problem.message); add a node first, or alter the keyspace")
        }
    }

    /// Why the policy of a keyspace cannot be kept; nil when it can.
    private func problem(
        of keyspace: Directory.Keyspace, on nodes: [Placement.Node]
    ) -> PolicyProblem? {
        do throws(PolicyProblem) {
            try keyspace.policy.check(
                replicas: keyspace.replicas, on: nodes,
                names: { id in directory.node(id)?.name ?? "node \(id)" })
            return nil
        } catch {
            return error
        }
    }

    private func checkSplitBound(_ keyspace: Directory.Keyspace) throws(Refusal) {
        guard Directory.Keyspace.isSplitBound(keyspace.splitAboveBytes) else {
            throw invalid("--split-above: give a size from 16KiB to 1PiB, or never")
        }
    }

    /// What is typed can be kept.
    private func check(_ keyspace: Directory.Keyspace) throws(Refusal) {
        try checkSplitBound(keyspace)
        let most = Directory.Keyspace.replicasMax
        guard (1...most).contains(keyspace.replicas), keyspace.replicas % 2 == 1 else {
            throw invalid(
                "\(keyspace.replicas) replicas: give an odd number from 1 to \(most)")
        }
        let nodes = directory.nodes.map { Placement.Node($0, isAlive: true) }
        if let problem = problem(of: keyspace, on: nodes) { throw invalid(problem.message) }
        if keyspace.policy.localReadsWithin != nil {
            guard nodes.contains(where: { $0.locality.name(at: "city") != nil }) else {
                throw invalid(
                    "--local-reads-within needs to know the cities of nodes: start them with "
                        + "--locality city=…,dc=…")
            }
        }
    }

    private func keyspace(named name: String) throws(Refusal) -> Directory.Keyspace {
        if let keyspace = directory.keyspace(named: name) { return keyspace }
        let names = directory.keyspaces.prefix(20).map(\.name).joined(separator: ", ")
        throw invalid("there is no keyspace \(name); there are \(names)")
    }

    func dropKeyspace(_ name: String, _ change: inout DirectoryChange) throws(Refusal) {
        var keyspace = try keyspace(named: name)
        guard !keyspace.isDropped else { return }
        let parts = directory.tablets.filter { $0.keyspace == keyspace.id }
        if let part = parts.first(where: { split(of: $0.id) != nil }) {
            throw Refusal(
                .unavailable, "tablet \(part.id) of \(name) is being split: try again later",
                retryAfterMilliseconds: 500)
        }
        keyspace.isDropped = true
        change.put(keyspace)
    }
}

/// Where the first replicas of new tablets go.
private struct FirstMembers {
    private let layout: VoterLayout
    /// Replicas of each node, by place.
    private var loads: [Int]

    init(_ directory: Directory) {
        layout = VoterLayout(
            directory.nodes.filter { $0.state == .serving }.map {
                Placement.Node($0, isAlive: true)
            })
        loads = layout.nodes.map { node in directory.tablets.count { $0.isOn(node.id) } }
    }

    mutating func members(
        of keyspace: Directory.Keyspace, from lower: Bytes, to upper: Bytes?
    ) throws(Refusal) -> ([Member], Acknowledgement) {
        let view = layout.under(keyspace.policy.tablet(from: lower, to: upper))
        let count = Placement.votersWanted(
            keyspace.replicas, nodes: Placement.usable(layout.nodes.map(\.isWitness)))
        let loads = loads
        guard let places = view.best(count, isAble: { _ in true }, load: { loads[$0] }) else {
            throw Refusal(.invalid, "no node serves: undrain one first")
        }
        guard view.cost(of: places).misplaced == 0 else {
            throw Refusal(
                .invalid,
                "too few nodes with data serve: undrain one, or a witness would stand in a home")
        }
        let nodes = places.map { layout.nodes[$0].id }
        let rule = keyspace.policy.acknowledgement
        guard let asked = layout.acknowledgement(of: nodes, asked: rule, inForce: rule) else {
            throw Refusal(
                .invalid,
                "the nodes that serve are too few or too close for --ack \(rule.name): undrain "
                    + "those of other rooms or cities first")
        }
        for place in places { self.loads[place] += 1 }
        let members = places.enumerated().map { number, place in
            Member(
                replica: ReplicaID(UInt64(number) + 1), node: layout.nodes[place].id,
                isWitness: layout.nodes[place].isWitness)
        }
        return (members, asked)
    }
}

extension PlacementPolicy {
    /// What it says of a tablet from `lower` up to `upper`.
    func tablet(from lower: Bytes, to upper: Bytes?) -> Placement.Policy {
        Placement.Policy(
            survive: survive, home: home(from: lower, to: upper)?.city, failover: failover,
            acknowledgement: acknowledgement, hasLocalReads: localReadsWithin != nil)
    }
}

extension Placement.Node {
    /// A node of the directory as the planner sees it.
    init(_ node: Directory.Node, isAlive: Bool) {
        // What cannot be read is as good as not said: `tenon topology check` names it.
        let locality = try? Locality(parsing: node.locality)
        self.init(
            id: node.id, keepsReplicas: node.state != .leaving,
            mayLead: node.state == .serving && !node.isWitness, isAlive: isAlive,
            replacement: node.replacement, locality: locality ?? .unknown,
            isWitness: node.isWitness)
    }
}

extension Directory.Keyspace {
    /// Voters that a keyspace has when nothing is said: with five in three cities two can be in
    /// each of two, so that a lost node leaves its city with another one.
    static func replicas(for goal: FailureLevel) -> Int {
        goal == .city ? 5 : replicasDefault
    }
}

extension Directory.Keyspace {
    /// Whether `text` may name a keyspace.
    static func isName(_ text: String) -> Bool {
        let letters = text.utf8
        return (1...Limits.nameBytesMax).contains(letters.count)
            && letters.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
                default: false
                }
            }
    }
}
