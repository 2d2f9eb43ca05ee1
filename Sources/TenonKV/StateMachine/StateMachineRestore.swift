package import TenonCore
package import TenonStore

/// Taking a state machine back from what its store holds, a page of sessions at a time.
///
/// For a snapshot that was installed while the loop runs: no step takes long, and none waits for
/// the disk (Rule S9). Nothing is applied to the store, and no job changes it, until it is done.
package struct StateMachineRestore {
    /// How far it is.
    package enum Step {
        /// Load these blocks, then call again.
        case needs(BlockRead)
        /// Call again, after others had their turn.
        case more
        case done(StateMachine)
    }

    private let machine: StateMachine
    /// What is still to be read, the next range first.
    private var ranges: [ScanRange] = []
    private var blocks = PinnedBlocks()

    /// Sessions that one step takes back: a few milliseconds of work.
    static let rowsPerStep = 1_024

    /// - Throws: `invalidConfiguration`; `damagedState` when the flush record is not what was
    ///   written or belongs to another tablet.
    package init(
        store: Store, tablet: TabletID, bounds: KeyInterval, generation: Generation = .first,
        configuration: StateMachine.Configuration
    ) throws(KVError) {
        try configuration.validate()
        try self.init(
            of: StateMachine(
                unrestored: store, tablet: tablet, bounds: bounds, generation: generation,
                configuration: configuration))
    }

    init(of machine: StateMachine) throws(KVError) {
        self.machine = machine
        guard try machine.restoreRecord() else { return }
        ranges = SessionTable.storedRanges(itemsMax: StateMachineRestore.rowsPerStep)
    }

    /// Takes in blocks that a step asked for.
    package func add(_ loaded: LoadedBlocks) { blocks.add(loaded) }

    /// - Throws: `damagedState` when a session is not what was written.
    package mutating func step() throws(KVError) -> Step {
        guard let range = ranges.first else {
            machine.checkInvariants()
            return .done(machine)
        }
        switch machine.store.scan(range, at: .newest, blocks: blocks) {
        case .needs(let read): return .needs(read)
        case .ready(let page):
            try machine.restoreSessions(from: page)
            if let rest = page.rest { ranges[0] = rest } else { ranges.removeFirst() }
            // Those of one page are not needed by the next, but for the one it begins in.
            blocks = PinnedBlocks()
            return .more
        }
    }

    /// All steps at once, blocking: for the start of a node.
    mutating func run() throws(KVError) {
        while true {
            switch try step() {
            case .more: continue
            case .done: return
            case .needs(let read):
                do throws(StoreError) { add(try read.run()) } catch { throw .store(error) }
            }
        }
    }
}
