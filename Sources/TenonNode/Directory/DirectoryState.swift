import TenonCore
import TenonKV
import TenonStore
import TenonWire

/// The content of tablet 1, as its replicas read it: the directory, and the version of each
/// record, on which the next change of it is conditioned.
struct DirectoryState {
    private(set) var directory = Directory(nodes: [], keyspaces: [], tablets: [])
    /// Nil until the first leader has set the directory up.
    private(set) var numbers: DirectoryNumbers?
    /// Splits that are under way, by tablet.
    private(set) var splits: [TabletSplit] = []
    private var versions: [DirectoryKey: Timestamp] = [:]
    /// Where each tablet stands in the directory: it may have many thousands.
    private var places: [TabletID: Int] = [:]

    init() {}

    /// - Throws: `DecodingError` when a record is none.
    init(_ items: [ScanAnswer.Item], at version: Timestamp) throws(DecodingError) {
        directory.version = version
        for item in items {
            let key = try DirectoryKey(item.key)
            versions[key] = item.value.version
            var reader = ByteReader(item.value.bytes)
            switch key {
            case .numbers: numbers = try DirectoryNumbers(from: &reader)
            case .node: directory.nodes.append(try Directory.Node(from: &reader))
            case .keyspace: directory.keyspaces.append(try Directory.Keyspace(from: &reader))
            case .tablet: directory.tablets.append(try TabletDescriptor(from: &reader))
            case .split: splits.append(try TabletSplit(from: &reader))
            }
            try reader.finish()
        }
        directory.tablets.sort { ($0.keyspace, $0.lower) < ($1.keyspace, $1.lower) }
        for place in directory.tablets.indices { places[directory.tablets[place].id] = place }
    }

    /// - Complexity: O(1).
    func tablet(_ id: TabletID) -> TabletDescriptor? { places[id].map { directory.tablets[$0] } }

    /// The split of a tablet that is under way; nil when none is.
    func split(of id: TabletID) -> TabletSplit? { splits.first { $0.tablet == id } }

    /// Whether a tablet is being split, or made by a split: its members stay as they are.
    func isBeingSplit(_ id: TabletID) -> Bool {
        splits.contains { $0.tablet == id || $0.half == id }
    }

    /// When a record was last changed; nil when there is none.
    func version(of key: DirectoryKey) -> Timestamp? { versions[key] }

    /// What must hold of a record for a change that was made from this state.
    func condition(on key: DirectoryKey) -> Condition {
        versions[key].map { .version($0) } ?? .absent
    }
}

/// Records that change together, on condition that none of them changed since they were read.
struct DirectoryChange {
    private let state: DirectoryState
    private(set) var conditions: [KeyCondition] = []
    private(set) var operations: [Operation] = []

    init(_ state: DirectoryState) { self.state = state }

    var isEmpty: Bool { operations.isEmpty }
    /// Records that one transaction may have: each takes a condition and an operation.
    static let recordsMax = Limits.transactionOperationsMax / 4
    var isFull: Bool { operations.count >= DirectoryChange.recordsMax }

    private mutating func put(_ key: DirectoryKey, _ writer: consuming ByteWriter) {
        conditions.append(KeyCondition(key: key.bytes, condition: state.condition(on: key)))
        let value = Bytes(writer.take())
        operations.append(.put(key: key.bytes, value: value, condition: .none))
    }

    mutating func put(_ numbers: DirectoryNumbers) {
        var writer = ByteWriter()
        numbers.encode(to: &writer)
        put(.numbers, writer)
    }

    mutating func put(_ node: Directory.Node) {
        var writer = ByteWriter()
        node.encode(to: &writer)
        put(.node(node.id), writer)
    }

    mutating func put(_ keyspace: Directory.Keyspace) {
        var writer = ByteWriter()
        keyspace.encode(to: &writer)
        put(.keyspace(keyspace.id), writer)
    }

    mutating func put(_ tablet: TabletDescriptor) {
        var tablet = tablet
        // Leaders change too often to be written down.
        tablet.leader = NodeID(0)
        var writer = ByteWriter()
        tablet.encode(to: &writer)
        put(.tablet(tablet.id), writer)
    }

    mutating func put(_ split: TabletSplit) {
        var writer = ByteWriter()
        split.encode(to: &writer)
        put(.split(split.tablet), writer)
    }

    mutating func delete(_ key: DirectoryKey) {
        conditions.append(KeyCondition(key: key.bytes, condition: state.condition(on: key)))
        operations.append(.delete(key: key.bytes, condition: .none))
    }

    /// The change as one transaction.
    var transaction: Transaction { Transaction(conditions: conditions, then: operations) }
}

/// Reads the whole of tablet 1, a page at a time (Rule S9).
struct DirectoryScan {
    enum Step {
        case needs(BlockRead)
        case more
        case done([ScanAnswer.Item], at: Timestamp)
        /// The content moved on under the scan; begin again.
        case stale
    }

    /// The last entry that was applied when the scan began.
    let index: LogIndex
    var blocks = PinnedBlocks()
    var isWaiting = false
    private var items: [ScanAnswer.Item] = []
    private var token: Bytes?

    init(at index: LogIndex) { self.index = index }

    mutating func step(_ machine: StateMachine) -> Step {
        let request = ScanRequest(.everything, pageToken: token)
        switch machine.scan(request, blocks: blocks) {
        case .needs(let read): return .needs(read)
        case .ready(.failure): return .stale
        case .ready(.success(let page)):
            items += page.items
            token = page.pageToken
            blocks = PinnedBlocks()
            return token == nil ? .done(items, at: page.at) : .more
        }
    }
}
