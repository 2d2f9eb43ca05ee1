package import TenonCore
package import TenonLog

/// Why a recovery by an operator is not made, and what to change (Rule C10).
package enum RecoveryError: Error, Sendable, CustomStringConvertible {
    // Planning
    case noReports
    case otherCluster(name: String, ClusterID, other: String, ClusterID)
    case otherEpoch(name: String, Epoch, other: String, Epoch)
    case reportedTwice(name: String)
    case unknownNode(name: String, known: [String])
    case nobodyLost
    case lostNodeReported(name: String)
    /// Every tablet has a majority without the nodes that are lost.
    case nothingToDo(lost: [String])
    case noWholeCopy([(tablet: TabletID, reasons: [String])])
    case plannedWithDefect(TabletID, DecodingError)

    // On one folder
    case noFolder(directory: String)
    case folder(FolderError)
    case log(directory: String, LogError)
    case notAMember(directory: String)
    case otherClusterOfFolder(directory: String, ClusterID, plan: ClusterID)
    case otherEpochOfFolder(directory: String, Epoch, plan: Epoch)
    case declaredLost(directory: String, name: String)
    case otherPlanUnderWay(directory: String)
    case changedSincePlan(directory: String, TabletID, String)

    package var description: String {
        planProblem ?? folderProblem ?? "unknown"
    }

    private var planProblem: String? {
        switch self {
        case .noReports: "no report of a survivor: run `tenon recover inspect` on each of them"
        case .otherCluster(let name, let cluster, let other, let otherCluster):
            "\(name) belongs to cluster \(cluster), \(other) to \(otherCluster): give reports of "
                + "one cluster"
        case .otherEpoch(let name, let epoch, let other, let otherEpoch):
            "\(name) is of epoch \(epoch), \(other) of \(otherEpoch): between them lies a "
                + "recovery; carry that one's plan out on all of its survivors, or leave out the older"
        case .reportedTwice(let name): "there are two reports of \(name): give one of each node"
        case .unknownNode(let name, let known):
            "there is no node \(name); there are \(known.joined(separator: ", "))"
        case .nobodyLost: "no node is given as lost: --lost n1,n3"
        case .lostNodeReported(let name):
            "\(name) is given as lost, and its folder was read: take it off --lost, or leave out "
                + "its report"
        case .nothingToDo(let lost):
            "every tablet has a majority without \(lost.joined(separator: ", ")): nothing to "
                + "recover; to have their copies made again: tenon node remove NAME"
        case .noWholeCopy(let tablets): RecoveryError.noWholeCopy(tablets)
        case .plannedWithDefect(let tablet, let error):
            "no configuration can be made for tablet \(tablet): \(error)"
        default: nil
        }
    }

    private static let tabletsShown = 10

    private static func noWholeCopy(_ tablets: [(tablet: TabletID, reasons: [String])]) -> String {
        let shown = tablets.prefix(tabletsShown).map { tablet in
            let reasons = tablet.reasons.isEmpty ? ["no survivor has it"] : tablet.reasons
            return "tablet \(tablet.tablet) (\(reasons.joined(separator: "; ")))"
        }
        let more = tablets.count - shown.count
        let numbers = tablets.map { "\($0.tablet)" }.joined(separator: ",")
        return "no survivor has a whole copy of " + shown.joined(separator: ", ")
            + (more > 0 ? " and \(more) more" : "")
            + ": read another survivor, or give the data of these tablets up with --abandon "
            + numbers
    }

    private var folderProblem: String? {
        switch self {
        case .noFolder(let directory): "\(directory) is no node's data folder: give its --data"
        case .folder(.inUse(let directory)):
            "\(directory) is in use by another process: stop the node, then try again"
        case .folder(let error): "\(error)"
        case .log(let directory, let error): "the log in \(directory): \(error)"
        case .notAMember(let directory):
            "\(directory) has never been a member of a cluster: leave it out"
        case .otherClusterOfFolder(let directory, let cluster, let plan):
            "\(directory) belongs to cluster \(cluster), the plan is for \(plan)"
        case .otherEpochOfFolder(let directory, let epoch, let plan):
            "\(directory) is of epoch \(epoch), the plan follows epoch \(plan): it was made of "
                + "other folders, or another recovery came first; read the survivors again and make a "
                + "new plan"
        case .declaredLost(let directory, let name):
            "\(directory) is the folder of \(name), which the plan declares lost: if it is whole, "
                + "make a new plan with its report"
        case .otherPlanUnderWay(let directory):
            "\(directory) has another recovery that did not come to its end: carry that one out "
                + "with \(directory)/\(FolderRecovery.fileName) as its plan"
        case .changedSincePlan(let directory, let tablet, let what):
            "tablet \(tablet) in \(directory) is not as it was when the plan was made (\(what)): "
                + "read the survivors again and make a new plan"
        default: nil
        }
    }
}
