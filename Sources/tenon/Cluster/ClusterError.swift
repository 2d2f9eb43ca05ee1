/// Why a local cluster could not be started, found or changed. Each says what to do.
enum ClusterError: Error, Equatable {
    /// No `cluster.json` in the folder.
    case noCluster(directory: String)
    case alreadyRunning(directory: String, nodes: [String])
    /// The folder's cluster was made otherwise than it is now asked to start.
    case madeOtherwise(directory: String, setting: String, made: String, asked: String)
    case portInUse(address: String)
    case noSuchNode(name: String, known: [String])
    case nodeNotRunning(name: String)
    case nodeAlreadyRunning(name: String)
    /// The process ended while it was waited for; `log` is the end of its log.
    case nodeEnded(name: String, log: String)
    /// It did not end although it was told to.
    case nodeDoesNotEnd(name: String, pid: Int32)
    case notServing(seconds: Int, reason: String)
    case noLeader
    case badFile(path: String, reason: String)
    case badSetting(String)
    case system(call: String, path: String, message: String)
}

extension ClusterError: CustomStringConvertible {
    var description: String {
        switch self {
        case .noCluster(let directory):
            "no cluster in \(directory): start one with `tenon cluster start --dir \(directory)`"
        case .alreadyRunning(let directory, let nodes):
            "the cluster in \(directory) runs already (\(nodes.joined(separator: ", "))): "
                + "stop it with `tenon cluster stop --dir \(directory)`"
        case .madeOtherwise(let directory, let setting, let made, let asked):
            "the cluster in \(directory) was made with \(setting) \(made), not \(asked): "
                + "leave the flag out, or use another --dir"
        case .portInUse(let address):
            "\(address) is in use: choose another --base-port, or 0 for free ports"
        case .noSuchNode(let name, let known):
            "no node \(name): there are \(known.joined(separator: ", "))"
        case .nodeNotRunning(let name):
            "\(name) is not running: start it with `tenon cluster restart \(name)`"
        case .nodeAlreadyRunning(let name):
            "\(name) is running already: `tenon cluster restart \(name)` starts it anew"
        case .nodeEnded(let name, let log):
            "\(name) ended before it served"
                + (log.isEmpty ? " and logged nothing" : "; the end of its log:\n\(log)")
        case .nodeDoesNotEnd(let name, let pid):
            "\(name) (process \(pid)) does not end, not even by SIGKILL: its disk may hang"
        case .notServing(let seconds, let reason):
            "the cluster does not serve after \(seconds) s: \(reason); look at the nodes' logs "
                + "(DIR/n1/log, …)"
        case .noLeader:
            "no node leads a tablet at the moment: name a node, or see `tenon cluster status`"
        case .badFile(let path, let reason): "\(path): \(reason)"
        case .badSetting(let message): message
        case .system(let call, let path, let message): "\(call) \(path): \(message)"
        }
    }
}
