import TenonSimulator

extension SimulatedDisk {
    /// Turns a bit over in the first place of the node's log that holds `marker`.
    /// - Returns: whether there is one.
    func damageLog(at marker: [UInt8]) -> Bool {
        let directory = SimulatedHost.directory + "/cell-0/log"
        for name in (try? list(directory)) ?? [] {
            let path = directory + "/" + name
            guard let bytes = contents(of: path), bytes.count > marker.count else { continue }
            for start in 0..<bytes.count - marker.count
            where bytes[start] == marker[0]
                && bytes[start..<start + marker.count].elementsEqual(marker)
            {
                flipBit(0, at: start, of: path)
                return true
            }
        }
        return false
    }
}
