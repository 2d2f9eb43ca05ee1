internal import TenonCore
internal import TenonWire

/// Which tablet holds a key and which node leads it, as far as the client knows.
///
/// Both may be out of date: a node that is asked wrongly says so, and the table learns from it.
struct RouteTable {
    /// What a request says of its tablet.
    struct Address: Hashable {
        let id: TabletID
        let keyspace: KeyspaceID
        let generation: Generation
    }

    /// The newest directory; nil until one was fetched.
    private(set) var directory: Directory?
    /// The address of each tablet of the directory, in its order: numbers only, because a copy of
    /// a descriptor for every request costs its references.
    private var addresses: [Address] = []
    /// The leader of each tablet of the directory, in its order; 0 when it is not known.
    private var leaders: [NodeID] = []
    /// When the next call may look for a leader that is not known, in the order of the directory.
    private var scoutAt: [Instant] = []
    /// How far away each node of the directory is: the tiers of the client's locality in which it
    /// stands elsewhere.
    private var distances: [NodeID: Int] = [:]
    private var placeOfTablet: [TabletID: Int] = [:]
    private var keyspaces: [String: KeyspaceID] = [:]

    /// Replaces all that was known, but for leaders: a directory comes from any node, from one that
    /// is cut off too, and what the nodes say of themselves is newer.
    ///
    /// - Parameter locality: where the client stands.
    mutating func install(_ directory: Directory, near locality: Locality = .unknown) {
        leaders = directory.tablets.map { tablet in
            let known = placeOfTablet[tablet.id].map { leaders[$0] } ?? NodeID(0)
            return known == NodeID(0) ? tablet.leader : known
        }
        scoutAt = Array(repeating: .zero, count: leaders.count)
        addresses = directory.tablets.map {
            Address(id: $0.id, keyspace: $0.keyspace, generation: $0.generation)
        }
        placeOfTablet = [:]
        for (place, tablet) in directory.tablets.enumerated() { placeOfTablet[tablet.id] = place }
        keyspaces = [:]
        for keyspace in directory.keyspaces { keyspaces[keyspace.name] = keyspace.id }
        distances = [:]
        for node in directory.nodes {
            distances[node.id] = RouteTable.distance(from: locality, to: node.locality)
        }
        self.directory = directory
    }

    /// The replicas with data of the tablet at `place`, and how far away they are.
    func replicas(at place: Int) -> [(node: NodeID, distance: Int)] {
        guard let tablet = directory?.tablets[place] else { return [] }
        return (tablet.voters + tablet.learners).withData.map {
            ($0.node, distances[$0.node] ?? .max)
        }
    }

    /// The tiers of `locality`, from the innermost up to the first that a node shares with all
    /// above it. A node whose place cannot be read is far away.
    private static func distance(from locality: Locality, to text: String) -> Int {
        do throws(LocalityError) {
            let other = try Locality(parsing: text)
            let shared = locality.tiers.prefix { other.name(at: $0.level) == $0.name }
            return locality.tiers.count - shared.count
        } catch {
            return locality.tiers.count
        }
    }

    /// The keyspace of this name; nil when the directory has none.
    func keyspace(named name: String) -> KeyspaceID? { keyspaces[name] }

    /// Where in the directory's list the tablet is.
    func place(of tablet: TabletID) -> Int? { placeOfTablet[tablet] }

    /// Where in the directory's list the tablet of `keyspace` that holds `key` is.
    ///
    /// - Complexity: O(log tablets).
    func place(in keyspace: KeyspaceID, holding key: Bytes) -> Int? {
        guard let tablets = directory?.tablets else { return nil }
        return tablets.place(in: keyspace, holding: key)
    }

    /// What a request to the tablet at `place` says of it.
    func address(at place: Int) -> Address { addresses[place] }

    /// The leader of the tablet at `place`, nil when it is not known.
    func leader(at place: Int) -> NodeID? {
        leaders[place] == NodeID(0) ? nil : leaders[place]
    }

    // MARK: Scouts

    /// While a tablet's leader is not known one call so often goes and looks, whatever number
    /// waits: a cluster that is coming back has better things to do than to refuse them all.
    static let scoutInterval = TimeSpan.milliseconds(10)

    /// When a call may look for the leader of the tablet at `place`.
    func nextScout(at place: Int) -> Instant { place < scoutAt.count ? scoutAt[place] : .zero }

    /// Whether the call that asks may look for the leader of the tablet at `place` now.
    mutating func takeScout(at place: Int, _ now: Instant) -> Bool {
        guard scoutAt[place] <= now else { return false }
        scoutAt[place] = now + RouteTable.scoutInterval
        return true
    }

    /// A node named `leader` (0: it does not know one) as the leader of `tablet`.
    mutating func learn(leader: NodeID, of tablet: TabletID) {
        if let place = placeOfTablet[tablet] { leaders[place] = leader }
    }

    /// `node` is gone or silent: whatever it led, another will.
    mutating func forget(leader node: NodeID) {
        for place in leaders.indices where leaders[place] == node { leaders[place] = NodeID(0) }
    }
}

extension [TabletDescriptor] {
    /// The place of the tablet of `keyspace` that holds `key`. Sorted as in ``Directory/tablets``.
    ///
    /// - Complexity: O(log tablets).
    func place(in keyspace: KeyspaceID, holding key: Bytes) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            let isAtOrBelow =
                self[middle].keyspace < keyspace
                || (self[middle].keyspace == keyspace && self[middle].lower <= key)
            if isAtOrBelow { low = middle + 1 } else { high = middle }
        }
        guard low > 0, self[low - 1].keyspace == keyspace else { return nil }
        if let upper = self[low - 1].upper, key >= upper { return nil }
        return low - 1
    }
}
