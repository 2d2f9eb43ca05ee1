import TenonCore
import TenonPlacement
import TenonWire

/// Orders of operators, as changes of the directory. Pure: what is known goes in, the records to
/// write come out, or why not.
extension DirectoryState {
    /// The change that carries out `order`; empty when everything is so already.
    ///
    /// - Throws: ``Refusal``, `.invalid`, with what to change.
    func change(for order: DirectoryOrder) throws(Refusal) -> DirectoryChange {
        guard let numbers else {
            throw Refusal(
                .unavailable, "the directory is being set up", retryAfterMilliseconds: 50)
        }
        var change = DirectoryChange(self)
        switch order {
        case .join(let name, let address, let locality, let folder, let isWitness):
            try join(name, address, locality, folder, isWitness, numbers, &change)
        case .drain(let name):
            let node = try node(named: name)
            try requireOther(than: node, "drain")
            try set(.draining, of: node, &change)
        case .undrain(let name): try set(.serving, of: node(named: name), &change)
        case .remove(let name, let replacement):
            try remove(name, replacement, &change)
        case .createKeyspace(let name, let settings):
            try createKeyspace(name, settings, numbers, &change)
        case .alterKeyspace(let name, let settings):
            try alterKeyspace(name, settings, &change)
        case .dropKeyspace(let name): try dropKeyspace(name, &change)
        case .moveReplica(let tablet, let from, let to): try move(tablet, from, to, &change)
        case .splitTablet(let tablet, let key): try split(tablet, at: key, numbers, &change)
        }
        return change
    }

    func invalid(_ message: String) -> Refusal { Refusal(.invalid, message) }

    private func node(named name: String) throws(Refusal) -> Directory.Node {
        if let node = directory.node(named: name) { return node }
        let names = directory.nodes.prefix(20).map(\.name).joined(separator: ", ")
        throw invalid("there is no node \(name); there are \(names)")
    }

    // MARK: Nodes

    private func join(
        _ name: String, _ address: String, _ locality: String, _ folder: FolderID,
        _ isWitness: Bool, _ numbers: DirectoryNumbers, _ change: inout DirectoryChange
    ) throws(Refusal) {
        guard !name.isEmpty, !address.isEmpty else {
            throw invalid("a node that joins needs a name and an address")
        }
        if let node = directory.node(named: name) {
            if node.folder == folder {
                guard node.isWitness == isWitness else {
                    throw invalid(
                        "\(name) joined \(node.isWitness ? "as a witness" : "with data") before, "
                            + "and a node stays what it is: join under another name, with an "
                            + "empty folder")
                }
                return
            }
            throw invalid(
                "the name \(name) is taken by node \(node.id) at \(node.address): join under "
                    + "another name, or remove that node first")
        }
        if let node = directory.nodes.first(where: { $0.address == address }) {
            throw invalid("\(address) is the address of \(node.name): give another --listen")
        }
        guard directory.nodes.count < Directory.nodesMax else {
            throw invalid("the cluster has \(Directory.nodesMax) nodes, the most there may be")
        }
        change.put(
            Directory.Node(
                id: numbers.node, name: name, address: address, locality: locality,
                folder: folder, isWitness: isWitness))
        var next = numbers
        next.node = numbers.node.next
        change.put(next)
    }

    private func set(
        _ state: Directory.NodeState, of node: Directory.Node, _ change: inout DirectoryChange
    ) throws(Refusal) {
        guard node.state != state else { return }
        var node = node
        node.state = state
        node.replacement = NodeID(0)
        change.put(node)
    }

    /// Somebody else has to lead.
    private func requireOther(than node: Directory.Node, _ verb: String) throws(Refusal) {
        let others = directory.nodes.filter {
            $0.id != node.id && $0.state == .serving && !$0.isWitness
        }
        guard !others.isEmpty else {
            throw invalid(
                "\(node.name) is the last node that serves: add another before you \(verb) it")
        }
    }

    /// A node may only go when there is another for each of its replicas: otherwise tablets would
    /// have fewer copies than their keyspace asks for.
    private func remove(
        _ name: String, _ replacement: String?, _ change: inout DirectoryChange
    ) throws(Refusal) {
        var leaving = try node(named: name)
        try requireOther(than: leaving, "remove")
        if let replacement {
            let other = try node(named: replacement)
            guard other.id != leaving.id, other.state == .serving else {
                throw invalid("\(replacement) cannot replace \(name): it does not serve")
            }
            guard other.isWitness == leaving.isWitness else {
                throw invalid(
                    "\(replacement) cannot replace \(name): one of them is a witness, which has no "
                        + "data")
            }
            leaving.replacement = other.id
        }
        // A witness is no copy, and makes none.
        let left = directory.nodes.count {
            $0.state != .leaving && $0.id != leaving.id && !$0.isWitness
        }
        let most = directory.keyspaces.filter { !$0.isDropped }.max { $0.replicas < $1.replicas }
        let copies =
            directory.tablets.map { tablet in
                min(tablet.voters.withData.count, most?.replicas ?? 1)
            }.max() ?? 1
        guard left >= copies else {
            throw invalid(
                "without \(name) there would be \(left) nodes, and tablets have \(copies) "
                    + "copies: add a node first (serve --join)")
        }
        guard leaving.state != .leaving || replacement != nil else { return }
        try requirePolicies(without: leaving)
        leaving.state = .leaving
        change.put(leaving)
    }

    // MARK: Tablets

    private func move(
        _ id: TabletID, _ from: String, _ to: String, _ change: inout DirectoryChange
    ) throws(Refusal) {
        guard var tablet = tablet(id) else { throw invalid("there is no tablet \(id)") }
        let source = try node(named: from)
        let destination = try node(named: to)
        guard tablet.isSettled else {
            throw Refusal(
                .unavailable, "tablet \(id) is on its way already: try again later",
                retryAfterMilliseconds: 500)
        }
        guard !isBeingSplit(id) else { throw beingSplit(id) }
        guard let leaving = tablet.voters.first(where: { $0.node == source.id }) else {
            throw invalid("tablet \(id) has no replica on \(from)")
        }
        guard !tablet.isOn(destination.id) else {
            throw invalid("tablet \(id) has a replica on \(to) already")
        }
        guard destination.isWitness == leaving.isWitness || leaving.isWitness else {
            throw invalid(
                "\(to) is a witness, which has no data, and the replica on \(from) is a copy: name "
                    + "another node")
        }
        guard destination.state == .serving else {
            throw invalid("\(to) is \(destination.state.name): undrain it, or name another node")
        }
        let number =
            isPlanted(.replicaAddedUnderOldID)
            ? StaticDirectory.replica(on: destination.id) : tablet.nextReplica
        let newcomer = Member(
            replica: number, node: destination.id, isWitness: destination.isWitness)
        tablet.target = (tablet.voters.filter { $0 != leaving } + [newcomer]).inOrder
        let rule = directory.keyspace(tablet.keyspace)?.policy.acknowledgement ?? .majority
        let layout = VoterLayout(directory.nodes.map { Placement.Node($0, isAlive: true) })
        guard
            let asked = layout.acknowledgement(
                of: tablet.target.map(\.node), asked: rule, inForce: tablet.acknowledgement.rule)
        else {
            throw invalid(
                "with \(to) in place of \(from) fewer than two voters of tablet \(id) would stand "
                    + "outside one place, and --ack \(rule.name) needs two: name another node")
        }
        tablet.targetAcknowledgement = asked
        tablet.nextReplica = tablet.nextReplica.next
        change.put(tablet)
    }
}

extension TabletDescriptor {
    /// Whether it has the members that it is to have.
    var isSettled: Bool { target.isEmpty && learners == targetLearners && !isJoint }

    /// Whether a replica of it is on the node, or on its way there.
    func isOn(_ node: NodeID) -> Bool {
        everyone.contains { $0.node == node }
    }
}
