/// How many clusters may run at once, first come, first served. Two cores that start a dozen of
/// them give no process its turn in time, and what is asserted of deadlines says nothing then.
actor ClusterSlots {
    static let shared = ClusterSlots(4)

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    /// Returns when a slot is the caller's; ``giveBack()`` ends that.
    func take() async {
        guard free == 0 else {
            free -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func giveBack() {
        guard !waiting.isEmpty else {
            free += 1
            return
        }
        waiting.removeFirst().resume()
    }
}
