internal import TenonCore
internal import TenonNode
internal import TenonWire

/// An operator who has nodes join and leave and moves replicas, one order at a time, while
/// everything else goes wrong. An order that is refused, or never answered, is forgotten.
final class ClusterOperator {
    private unowned let cluster: SimulatedCluster
    private let client: SimulatedClient
    private var isBusy = false

    private static let patience = TimeSpan.seconds(5)
    private static let pace = TimeSpan.milliseconds(100)

    init(_ cluster: SimulatedCluster) {
        self.cluster = cluster
        client = cluster.makeClient()
    }

    /// The newest copy of the directory on any node that runs.
    private var directory: Directory? {
        cluster.hosts.compactMap { $0.node?.describe() }.max { $0.version < $1.version }
    }

    /// Gives the order that `seed` draws. `start` is to start a machine by rank.
    func change(seed: UInt64, start: @escaping (Int) -> Void) {
        guard !isBusy, let directory, directory.version > .zero else { return }
        var draws = SeededGenerator(seed: seed)
        switch draws.below(8) {
        case 0, 1: join(&draws, start)
        case 2, 3: order(removal(of: directory, &draws))
        case 4: order(.drain(node: draw(directory.nodes, &draws).name))
        case 5: order(.undrain(node: draw(directory.nodes, &draws).name))
        default: order(move(in: directory, &draws))
        }
    }

    /// Moves a replica, once all machines are nodes.
    func move(seed: UInt64, start: @escaping (Int) -> Void) {
        guard !isBusy, let directory, directory.version > .zero else { return }
        var draws = SeededGenerator(seed: seed)
        let isComplete = cluster.hosts.allSatisfy { $0.nodeID != NodeID(0) }
        if isComplete { order(move(in: directory, &draws)) } else { join(&draws, start) }
    }

    private func draw<Element>(_ list: [Element], _ draws: inout SeededGenerator) -> Element {
        list[Int(draws.below(UInt64(list.count)))]
    }

    private func order(_ order: DirectoryOrder, then next: @escaping () -> Void = {}) {
        isBusy = true
        client.start(.direct(order), tablet: .directory, within: ClusterOperator.patience) {
            [self] result in
            isBusy = false
            if case .answer = result { next() }
        }
    }

    private func removal(
        of directory: Directory, _ draws: inout SeededGenerator
    ) -> DirectoryOrder {
        let node = draw(directory.nodes, &draws)
        let other = draw(directory.nodes, &draws)
        let isReplaced = draws.below(2) == 0 && other.id != node.id
        return .remove(node: node.name, replacement: isReplaced ? other.name : nil)
    }

    private func move(in directory: Directory, _ draws: inout SeededGenerator) -> DirectoryOrder {
        let tablet = draw(directory.tablets, &draws)
        let (from, to) = (draw(directory.nodes, &draws), draw(directory.nodes, &draws))
        // Most pairs make no sense: of those that do a replica often comes back to where it was.
        let holders = directory.nodes.filter { node in
            tablet.voters.contains { $0.node == node.id }
        }
        let others = directory.nodes.filter { !holders.contains($0) }
        guard !holders.isEmpty, !others.isEmpty, draws.below(4) > 0 else {
            return .moveReplica(tablet.id, from: from.name, to: to.name)
        }
        return .moveReplica(
            tablet.id, from: draw(holders, &draws).name, to: draw(others, &draws).name)
    }

    // MARK: Splitting

    /// Splits the tablet that the key drawn from `seed` lies in, at that key: where the keys of a
    /// workload begin, so that what belongs together stays in one tablet.
    func split(seed: UInt64) {
        guard !isBusy, let directory, directory.version > .zero else { return }
        var draws = SeededGenerator(seed: seed)
        let founding = draw(
            StaticDirectory.tablets(count: cluster.options.tabletCount), &draws)
        let key = KeyRoom.border(
            of: draw(WorkloadCatalogue.general, &draws), inTabletFrom: founding.lower)
        guard let tablet = directory.tablet(of: .default, holding: key) else { return }
        order(.splitTablet(tablet.id, at: key))
    }

    // MARK: Keyspaces

    private static let keyspacesMax = 6

    /// Creates a keyspace beside the others, as long as there are few.
    func createKeyspace(seed: UInt64) {
        guard !isBusy, let directory, directory.version > .zero,
            directory.keyspaces.count < ClusterOperator.keyspacesMax
        else { return }
        var draws = SeededGenerator(seed: seed)
        let replicas = draw([1, 3, 3, 3, 5], &draws)
        order(
            .createKeyspace(
                name: "k\(directory.keyspaces.count)", KeyspaceSettings(replicas: replicas)))
    }

    // MARK: Policies

    /// Says what the keyspace must survive and where it is led. Its home is all keys or none: what
    /// a workload counts on to be in one tablet is to stay there.
    func alterPolicy(seed: UInt64) {
        guard !isBusy, let directory, directory.version > .zero else { return }
        var draws = SeededGenerator(seed: seed)
        let places = directory.nodes.compactMap { try? Locality(parsing: $0.locality) }
        let cities = Set(places.compactMap { $0.name(at: "city") }).sorted()
        guard !cities.isEmpty else { return }
        let home = PlacementPolicy.Home(prefix: "", city: draw(cities, &draws))
        let next = draw(cities, &draws)
        order(
            .alterKeyspace(
                name: "default",
                KeyspaceSettings(
                    replicas: draws.below(3) == 0 ? 3 : 5,
                    survive: draw(FailureLevel.allCases, &draws),
                    homes: draws.below(4) == 0 ? [] : [home],
                    failover: draws.below(2) == 0 ? [] : [next],
                    reads: draw(PlacementPolicy.ReadMode.allCases, &draws),
                    acknowledgement: draw(AcknowledgementRule.allCases, &draws),
                    localReadsWithin: draws.below(2) == 0 ? .zero : .seconds(1))))
    }

    /// Has leaders of the keyspace read by leases; asked for until it is written down.
    func useLeases() {
        guard directory?.keyspace(.default)?.policy.reads != .lease else { return }
        if !isBusy {
            order(.alterKeyspace(name: "default", KeyspaceSettings(reads: .lease)))
        }
        cluster.schedule(after: ClusterOperator.pace) { [self] in useLeases() }
    }

    /// Has writes of the keyspace wait for an acknowledgement from elsewhere; asked for until it is
    /// written down, for nodes are refused that have not said yet where they stand.
    func ask(_ rule: AcknowledgementRule) {
        guard directory?.keyspace(.default)?.policy.acknowledgement != rule else { return }
        if !isBusy {
            order(.alterKeyspace(name: "default", KeyspaceSettings(acknowledgement: rule)))
        }
        cluster.schedule(after: ClusterOperator.pace) { [self] in ask(rule) }
    }

    /// Has three voters kept, and a copy in every other city; asked for until it is written down.
    func askForLocalReads() {
        guard directory?.keyspace(.default)?.policy.localReadsWithin == nil else { return }
        if !isBusy {
            order(
                .alterKeyspace(
                    name: "default",
                    KeyspaceSettings(replicas: 3, localReadsWithin: .seconds(1))))
        }
        cluster.schedule(after: ClusterOperator.pace) { [self] in askForLocalReads() }
    }

    /// Has a keyspace that a witness is to vote for survive the loss of a city; asked for until it is
    /// written down.
    func surviveCities() {
        guard directory?.keyspace(.default)?.policy.survive != .city else { return }
        if !isBusy {
            order(
                .alterKeyspace(name: "default", KeyspaceSettings(replicas: 5, survive: .city)))
        }
        cluster.schedule(after: ClusterOperator.pace) { [self] in surviveCities() }
    }

    // MARK: Joining

    /// Has the node of a free machine join, when there is one.
    private func join(_ draws: inout SeededGenerator, _ start: @escaping (Int) -> Void) {
        let free = cluster.hosts.filter { $0.isJoining && $0.nodeID == NodeID(0) }
        guard !free.isEmpty else { return }
        let host = draw(free, &draws)
        do {
            let folder = try openFolder(of: host)
            guard folder.cluster == .none else { return take(host, folder.node, start) }
            let join = DirectoryOrder.join(
                name: cluster.nodeName(of: host), address: "10.0.0.\(host.id):7501",
                locality: cluster.configuration(of: host).locality, folder: folder.folder,
                isWitness: host.isWitness)
            order(join) { [self] in awaitRecord(of: host, folder.folder, start) }
        } catch {
            // The disk fails at the moment: the operator tries again later.
            host.disk.crashProcess()
        }
    }

    private func openFolder(of host: SimulatedHost) throws -> FolderIdentity {
        try NodeFolder.open(
            fileSystem: host.disk, directory: SimulatedHost.directory,
            configuration: cluster.configuration(of: host), generator: &cluster.generator
        ).identity
    }

    /// Waits until some node's directory shows the record, and makes the folder the member's.
    private func awaitRecord(
        of host: SimulatedHost, _ folder: FolderID, _ start: @escaping (Int) -> Void
    ) {
        guard host.nodeID == NodeID(0) else { return }
        guard let directory, let record = directory.nodes.first(where: { $0.folder == folder })
        else {
            return cluster.schedule(after: ClusterOperator.pace) { [self] in
                awaitRecord(of: host, folder, start)
            }
        }
        do {
            var opened = try NodeFolder.open(
                fileSystem: host.disk, directory: SimulatedHost.directory,
                configuration: cluster.configuration(of: host), generator: &cluster.generator)
            guard opened.identity.folder == folder else { return }
            try opened.join(as: record.id, directory)
        } catch {
            // As a crash in the middle: the next order to join finds the folder as it is.
            return host.disk.crashProcess()
        }
        take(host, record.id, start)
    }

    private func take(_ host: SimulatedHost, _ node: NodeID, _ start: (Int) -> Void) {
        host.nodeID = node
        start(Int(host.id.rawValue) - 1)
    }

    // MARK: Leaving

    /// Machines whose nodes were removed get an empty disk: another node may join from them.
    func reuseMachines() {
        guard let directory else { return }
        for host in cluster.hosts where host.nodeID != NodeID(0) {
            let wasRemoved = host.endReason?.contains("was removed from the cluster") ?? false
            let isMissing = directory.version > .zero && directory.node(host.nodeID) == nil
            guard wasRemoved || isMissing else { continue }
            cluster.reuse(Int(host.id.rawValue))
        }
    }
}
