// SPDX-License-Identifier: Apache-2.0
// The closed list of reasons. docs/conditions.md shows it, and a test compares the two: a reason
// that is not here cannot be used.
#include <string.h>

#include "api_internal.h"

#define ANY                                                                                        \
    "ConfigValid ControlPlaneUpdated NodesUpdated ResourceAPIServed DriverReady DevicesPublished " \
    "SmokeTestPassed "                                                                             \
    "SourceReady Fetched SourceVerified Applied Upgradeable Degraded"
#define SOURCE "Fetched SourceVerified Applied SourceReady"
#define FLAGS "ControlPlaneUpdated NodesUpdated Degraded"
#define WANTED                                                                                     \
    "ControlPlaneUpdated NodesUpdated ResourceAPIServed DriverReady DevicesPublished "             \
    "SmokeTestPassed"

static const struct api_reason reasons[] = {
    // nothing is wrong
    {"AsExpected", ANY, "It is as it should be.", "Nothing.", false},
    {"DefaultOn", WANTED,
     "These versions of Kubernetes have it on by default: there is nothing to write.", "Nothing.",
     false},
    {"NotRequested", WANTED, "The spec does not ask for it.",
     "Name what is wanted in spec.features; before 1.34 DRA itself comes with it.", false},
    {"DRADisabled", WANTED, "The spec turns DynamicResourceAllocation off.",
     "Set it to true to turn DRA on.", false},
    {"DriverNotRequested", "DriverReady DevicesPublished SmokeTestPassed",
     "The spec has no driver.", "Set spec.driver, or install a driver yourself.", false},
    {"NoManagedNodes", "NodesUpdated",
     "No node has a kubelet to configure; fake nodes, virtual kubelets and nodes that are not "
     "Linux "
     "are not counted.",
     "Nothing, unless nodes were expected: then see whether they have joined.", false},
    {"Observing", WANTED " Degraded",
     "The platform is Observe: Drawbridge looks and writes nothing.", "Nothing.", false},
    {"Retained", FLAGS,
     "The object is being deleted and its flags stay, as deletionPolicy Retain says.", "Nothing.",
     false},
    {"Reverted", FLAGS, "What Drawbridge wrote has been taken out again.", "Nothing.", false},

    // on the way
    {"Progressing", ANY, "It is not known yet, or is being worked on.",
     "Wait; `drawbridge status` shows how far it is.", false},
    {"RollingOut", WANTED, "Flags are being written, one component after the other.",
     "Wait; `drawbridge status` shows how far it is.", false},
    {"WaitingForControlPlane",
     "NodesUpdated ResourceAPIServed DriverReady DevicesPublished SmokeTestPassed Degraded",
     "It begins when every control plane component is right.", "See ControlPlaneUpdated.", false},
    {"WaitingForNodes",
     "ControlPlaneUpdated ResourceAPIServed DriverReady DevicesPublished SmokeTestPassed Degraded",
     "It begins when every node is right.", "See NodesUpdated.", false},
    {"WaitingForComponent", FLAGS " ResourceAPIServed",
     "A component was restarted and is not ready yet.",
     "Wait; after rollout.componentTimeout it is put back.", false},
    {"RollingBack", FLAGS " ResourceAPIServed",
     "A component failed, and the flags from before are being put back.",
     "Wait until they are back.", false},
    {"Reverting", WANTED " Degraded",
     "The object is being deleted, and what Drawbridge wrote is being taken out.", "Wait.", false},

    // the spec
    {"InvalidConfiguration", "ConfigValid DriverReady SmokeTestPassed Fetched Applied SourceReady",
     "A field is not what the schema says.", "Correct the field that the message names.", true},
    {"NotSupported",
     "ConfigValid DriverReady DevicesPublished SmokeTestPassed ControlPlaneUpdated NodesUpdated",
     "This version of Drawbridge does not act upon a field or a platform that the spec names.",
     "Remove the field, or use a version that supports it.", true},
    {"TargetConflict", "ConfigValid",
     "An older DRAConfiguration names the same cluster; one writes a cluster.",
     "Delete one of the two, or set platform.type of this one to Observe.", true},
    {"NamespaceNotAllowed", "ConfigValid DriverReady",
     "The administrator of Drawbridge does not allow DRAConfigurations of this namespace what this "
     "one names: this cluster, or another namespace.",
     "Ask the administrator to list the namespace, in the value that the message names.", true},
    {"PlatformChanged", "Degraded",
     "platform.type is Auto, and the cluster does not look any more like what it was found to be. "
     "It is treated as before.",
     "Set platform.type to what the message names, or repair what is missing.", false},
    {"VersionsUnknown", "ConfigValid ControlPlaneUpdated NodesUpdated Upgradeable Degraded",
     "The version of a component could not be read.",
     "Look at the component that the message names.", false},
    {"NoInstances", "ConfigValid ControlPlaneUpdated Degraded",
     "No node with the label node-role.kubernetes.io/control-plane runs kube-apiserver as a static "
     "pod.",
     "Label the control plane nodes as kubeadm does; elsewhere set platform.type to Observe.",
     false},
    {"Suspended", ANY, "spec.suspend is true: nothing is written.",
     "Set spec.suspend to false to go on.", true},

    // refusals: nothing was touched
    {"UnknownFeatureGate", "ConfigValid", "No known version of Kubernetes has this feature gate.",
     "Correct the name; `drawbridge gates --all` lists them.", true},
    {"FeatureGateLocked", "ConfigValid",
     "A component's version has the gate locked to the other value and would not start.",
     "Remove the gate from the spec.", true},
    {"FeatureGateRemoved", "ConfigValid",
     "The gate is gone in a component's version, which would not start with it.",
     "Remove the gate from the spec.", true},
    {"FeatureGateTooNew", "ConfigValid", "The gate comes with a later version than a component's.",
     "Upgrade the component, or remove the gate from the spec.", true},
    {"FeatureGateDependency", "ConfigValid", "The gate needs another one that is off.",
     "Turn on the gate that the message names too, or remove this one.", true},
    {"UnknownFeature", "ConfigValid", "spec.features has a name that no feature has.",
     "Correct the name; `drawbridge features` lists them.", true},
    {"FeatureUnavailable", "ConfigValid",
     "The API servers' version does not have the feature; the message says which is the first.",
     "Upgrade Kubernetes, or remove the feature from spec.features.", true},
    {"FeatureConflict", "ConfigValid",
     "spec.featureGates turns off a gate that a feature of spec.features needs.",
     "Remove one of the two from the spec.", true},
    {"AlphaNotAllowed", "ConfigValid",
     "The gate or the API version is alpha, and allowAlpha is false.",
     "Set spec.allowAlpha to true if the cluster may break at the next upgrade.", true},
    {"APIVersionNotRegistered", "ConfigValid",
     "The API server's version does not have this API version and would not start.",
     "Remove the entry from spec.runtimeConfig.", true},
    {"InvalidRuntimeConfig", "ConfigValid",
     "An entry of runtimeConfig is not a group and version that the API server takes.",
     "Write it as group/version, for example batch/v2alpha1.", true},
    {"KubernetesTooOld", "ConfigValid", "A component's version has no Dynamic Resource Allocation.",
     "Upgrade Kubernetes.", true},
    {"KubernetesTooNew", "ConfigValid",
     "A component is newer than the table of gates, and it did not tell its own.",
     "Upgrade Drawbridge, or give it a newer table (the chart's value gatesTable).", true},
    {"VersionSkewUnsupported", "ConfigValid",
     "No API version serves all components at their different versions.",
     "Finish the upgrade of Kubernetes first.", true},
    {"APIVersionNeeded", "ConfigValid",
     "runtimeConfig turns off an API version that a gate which is on needs.",
     "Remove the entry from spec.runtimeConfig.", true},

    // components and nodes
    {"ComponentNotReady", FLAGS,
     "A component did not become ready in rollout.componentTimeout and was put back.",
     "Read the message, correct the spec or the node; the same revision is not tried again.", true},
    {"ComponentCrashed", FLAGS, "A component exited with the new flags and was put back.",
     "Read its last words in the message, then correct the spec.", true},
    {"ReadBackMismatch", FLAGS,
     "A component runs, but does not report the gates that it was given, and was put back.",
     "See whether something else sets its flags.", true},
    {"ManifestInvalid", FLAGS " ConfigValid",
     "A static pod manifest, the kubelet's configuration or a pod template is not what it should "
     "be; it was not touched, and nothing is put back for it.",
     "Correct what the message names; then it goes on by itself.", true},
    {"FileConflict", FLAGS,
     "Somebody else writes the same file; nothing is put back for it, and it is tried again later.",
     "Nothing, unless it goes on: then set the gates where the file comes from, or stop that.",
     false},
    {"NodeFilesNotWritable", FLAGS,
     "A node's file could not be written (its disk is full, read-only or fails); it is as it was.",
     "Make room, or mend the disk of the node that the message names; it is tried again by itself.",
     false},
    {"KubeletNotAnswering", FLAGS,
     "A kubelet does not answer where its configuration says (healthzBindAddress, healthzPort), "
     "and was not changed.",
     "Look at the kubelet on the node that the message names; it goes on when it answers.", false},
    {"MetricsUnavailable", FLAGS,
     "A component's /metrics cannot be read, so nobody knows what is in effect.",
     "See whether the agent may read /metrics of that component.", false},
    {"KubeletNotReady", FLAGS,
     "A kubelet did not become healthy after its restart, and its configuration was put back.",
     "Read the message and the kubelet's log.", true},
    {"KubeletUnguarded", FLAGS,
     "What puts a kubelet's file back without the agent could not be set up on its node; the file "
     "is as it was.",
     "Read the message; correct the node, or set agent.guard.enabled=false in the chart and do "
     "without.",
     true},
    {"NodeFailed", FLAGS,
     "A kubelet did not come up with what it was given, and the roll-out is paused.",
     "Look at the node's NodeDRAConfiguration; correct the spec or the node.", true},
    {"NodeNotReady", FLAGS,
     "A node is not ready. Its kubelet is not changed before it is; other nodes wait for it as "
     "long as for one that is being changed, another control-plane node for as long as it lasts.",
     "Bring the node back, or delete the Node.", false},
    {"RolledBack", FLAGS,
     "A component did not come up with a new revision, and all that this revision changed was put "
     "back; it is not tried again.",
     "Correct the spec: the message says what failed.", true},
    {"RollbackFailed", FLAGS " ResourceAPIServed",
     "A component failed, and with the old flags it does not come back either.",
     "Look at the component on the node that the message names.", true},
    {"RolloutPaused", FLAGS, "A component failed, and rollout.onFailure is Pause.",
     "Correct the spec or the node.", true},
    {"ProgressDeadlineExceeded", FLAGS,
     "An agent is at a component for longer than rollout.componentTimeout and a minute.",
     "Look at the agent's log on the node that the message names.", true},
    {"AgentMissing", FLAGS, "No agent has reported for a managed node for a minute.",
     "See whether the agent runs there: its DaemonSet, tolerations included, or the process.",
     false},
    {"AgentNotReporting", FLAGS,
     "An agent has not answered to what was asked of it in rollout.componentTimeout and a minute.",
     "Look at the agent's log on that node.", false},
    {"StaleEpoch", FLAGS, "An agent has seen a newer leader than the one that wrote its spec.",
     "Nothing, unless it goes on: then see whether two installations write the same cluster.",
     false},
    {"ClusterConfigNotUpdated", FLAGS,
     "The ConfigMap kubeadm-config or kubelet-config could not be written.",
     "Read the message: the next kubeadm upgrade would lose the flags.", false},
    {"NotManaged", FLAGS " ConfigValid",
     "Something else owns the flags and would undo a change, or no roll-out would follow.",
     "Change them where the message says, or set platform.type.", true},
    {"ClusterPaused", FLAGS " ConfigValid",
     "Cluster API is told to carry nothing out for this cluster, and so nothing is written.",
     "Take spec.paused, or the annotation cluster.x-k8s.io/paused, of the object that the message "
     "names away.",
     true},
    {"ChangesReverted", FLAGS,
     "Something else took out twice what Drawbridge wrote; it is not fought.",
     "Set the flags in what the message names, or stop it; then annotate the object with "
     "drawbridge.dev/reconcile-requested-at.",
     true},

    // the API
    {"APINotServed", "ResourceAPIServed DriverReady SmokeTestPassed Degraded",
     "The API server does not serve a version of resource.k8s.io that is needed.",
     "See ControlPlaneUpdated; with Observe turn it on where the message says.", false},
    {"NotReadBack", "ResourceAPIServed",
     "Drawbridge cannot ask the API server of the hosted cluster what it serves.",
     "Set spec.cluster.kubeconfigSecretRef, or read in the message why the API server does not "
     "answer.",
     false},
    {"EnableElsewhere", "ResourceAPIServed ControlPlaneUpdated NodesUpdated Degraded",
     "DRA is not on, and with the platform Observe Drawbridge does not turn it on.",
     "Turn it on where the cluster's flags are set, or let Drawbridge: platform.type Kubeadm.",
     true},

    // devices
    {"NoResourceSlices", "DevicesPublished DriverReady", "No driver has published a ResourceSlice.",
     "See whether a driver runs on the nodes that have devices.", false},

    // the driver: before helm runs
    {"PresetUnknown", "DriverReady", "There is no preset of that name.",
     "Use one that the message names, or spec.driver.chart.", true},
    {"KubernetesTooOldForDriver", "DriverReady", "The chart needs a newer Kubernetes.",
     "Upgrade the cluster, or choose another version of the chart.", false},
    {"NamespaceNotPrivileged", "DriverReady",
     "The namespace does not take the driver's privileged pods.",
     "Label it pod-security.kubernetes.io/enforce=privileged, or set spec.driver.namespace.",
     false},
    {"DriverOwnedElsewhere", "DriverReady",
     "Somebody else owns the release, the DeviceClasses or the devices: one driver has one owner.",
     "Remove one of the two, or set spec.driver.engine to External.", false},
    {"ClaimControllerOff", "DriverReady",
     "kube-controller-manager runs without the controller of resource claims.",
     "Take it back into --controllers.", false},
    {"SchedulerPluginOff", "DriverReady",
     "The configuration of kube-scheduler leaves its plugin DynamicResources out.",
     "Take it back into the profile that the message names.", false},
    {"CDINotSupported", "DriverReady", "The container runtime of the nodes knows no CDI.",
     "Upgrade it: containers would silently lack their devices.", false},
    {"DriverForbidden", "DriverReady",
     "The account that helm acts as, or Drawbridge's own, may not do what the message names.",
     "Give spec.driver.serviceAccountName that right.", false},
    {"ValuesNotFound", "DriverReady",
     "A ConfigMap, Secret or key of spec.driver.valuesFrom is not there.",
     "Make it, or set optional.", false},
    {"ValuesInvalid", "DriverReady",
     "Values are no YAML, no map, or not what the chart's schema wants.",
     "Correct the place that the message names.", false},

    // the driver: helm
    {"Installing", "DriverReady",
     "helm is at work, or will be when it is done with another release.", "Wait.", false},
    {"Uninstalling", "DriverReady",
     "helm takes the release out, or will when it is done with another one.", "Wait.", false},
    {"HelmNotFound", "DriverReady", "The program helm could not be started.",
     "Install helm 4, or set --helm.", false},
    {"HelmInterrupted", "DriverReady", "helm was ended before it was ready.",
     "Nothing, it is run again.", false},
    {"ChartUnavailable", "DriverReady", "The chart could not be fetched or read.",
     "Look whether the registry or repository answers and has that version.", false},
    {"ChartDigestMismatch", "DriverReady",
     "The chart is not the one that spec.driver.chart.digest pins.",
     "Find out who changed the chart; then correct the digest.", false},
    {"ChartRejected", "DriverReady", "The chart itself refuses these values or this cluster.",
     "Set in spec.driver.values what the message asks for.", false},
    {"DowngradeRefused", "DriverReady",
     "The chart is older than the one that is installed, and this driver cannot go back.",
     "Take the driver out of the spec and wait until it is gone, or choose a version that is not "
     "older.",
     false},
    {"ReleaseLocked", "DriverReady", "Another helm holds the lock of the release.",
     "Wait: a lock that nobody holds is taken away.", false},
    {"FieldConflict", "DriverReady", "Somebody else has set a field that the chart sets too.",
     "Take that change back, or make it with spec.driver.values.", false},
    {"ReleaseAPIRemoved", "DriverReady",
     "The release names an API version that the server does not serve any more.",
     "Read the message; the release is made anew where that is possible.", false},
    {"PrivilegedNotAllowed", "DriverReady", "The API server takes no privileged pods.",
     "Start kube-apiserver with --allow-privileged=true.", false},
    {"DelegateFailed", "DriverReady", "Flux or k3s could not install the chart.",
     "Read the message, which has its words.", false},
    {"DelegateNotServed", "DriverReady", "The API server knows no HelmRelease or HelmChart.",
     "Install Flux or k3s' helm-controller, or use engine Helm.", false},
    {"InstallFailed", "DriverReady", "helm failed with an error that has no reason of its own.",
     "Read the message, which has helm's words.", false},

    // the driver: is it there?
    {"NoMatchingNodes", "DriverReady", "No node is one that the driver's DaemonSet wants.",
     "Label the nodes that have devices, or set the chart's node selector.", false},
    {"NoDaemonSet", "DriverReady", "The release has no DaemonSet of a driver.",
     "Set the value of the chart that turns its driver on.", false},
    {"DriverTurnedOff", "DriverReady", "The values turn off all that the driver publishes.",
     "Set the value that the message names.", false},
    {"DriverNotReady", "DriverReady", "Pods of the driver are not updated or not available yet.",
     "Wait; if it lasts, look at the pod that the message names.", false},
    {"DriverPodsStuck", "DriverReady", "A pod of the driver does not get past its init containers.",
     "See the hint in the message and the log of the init container.", false},
    {"PodsNotCreated", "DriverReady", "The DaemonSet cannot make its pods.",
     "Remove what the event in the message names.", false},
    {"DeviceClassMissing", "DriverReady SmokeTestPassed", "A DeviceClass is not there.",
     "Set the value that the message names, or correct the name.", false},
    {"DevicesIncomplete", "DevicesPublished", "Some nodes with the driver publish nothing.",
     "See the logs of the driver's pods on the nodes that the message names.", false},
    {"ClaimsInUse", "DriverReady ControlPlaneUpdated",
     "The driver is to go, and claims still have devices of it.",
     "End the pods that use the claims in the message; Drawbridge never deletes them.", false},

    // the smoke test
    {"WaitingForDevices", "SmokeTestPassed", "It begins when devices are published.",
     "See DevicesPublished.", false},
    {"SmokeTestRunning", "SmokeTestPassed", "The claim and the pod are there.", "Wait.", false},
    {"ClaimNotAllocated", "SmokeTestPassed", "The scheduler gave the claim no device.",
     "Read the scheduler's words in the message; `drawbridge doctor` says more.", false},
    {"PodNotRunning", "SmokeTestPassed", "The claim has a device and its pod does not run.",
     "Look at the kubelet and the driver on that node.", false},

    // the next minor
    {"GatesIncompatible", "Upgradeable",
     "The next minor would refuse a gate or an API version that is in use.",
     "Remove what the message names before the upgrade.", false},
    {"NextMinorUnknown", "Upgradeable", "The table of gates ends before the next minor.",
     "Upgrade Drawbridge first.", false},

    // configuration from a repository
    {"VerificationNotRequested", "SourceVerified",
     "The ConfigSource has no spec.verify: whoever may push may configure.",
     "Set spec.verify to have commits' signatures checked.", false},
    {"SecretNotForHost", SOURCE,
     "The Secret of spec.secretRef does not say that its password or token may be sent to the "
     "host of spec.url.",
     "If it may, annotate the Secret with drawbridge.dev/hosts, as the message says; else correct "
     "spec.url.",
     true},
    {"InsecureTransport", SOURCE,
     "The URL begins with git:// or http:// and spec.verify is not set: whoever is between "
     "Drawbridge and the server could change what is applied.",
     "Use https:// or ssh://, or set spec.verify.", true},
    {"GitUnreachable", SOURCE,
     "The repository's server does not answer as it should; what was applied last stays.",
     "Read the message; it is tried again.", false},
    {"FetchTimedOut", SOURCE,
     "The repository was not fetched within spec.timeout, and the worker was ended.",
     "Nothing, unless it goes on: then raise spec.timeout, or see what holds the server up.",
     false},
    {"AuthenticationFailed", SOURCE,
     "The repository's server or the proxy refuses the credentials, or wants others.",
     "Correct the Secret of spec.secretRef.", false},
    {"HostKeyRefused", SOURCE,
     "The host key of the ssh server is not in known_hosts, or another one, or of a kind that "
     "cannot be used.",
     "Find out why; only then put the key that the message asks for into known_hosts of the "
     "Secret.",
     false},
    {"CertificateRefused", SOURCE,
     "The certificate of the https server is not trusted, or is for another name.",
     "Put the authority into ca.crt of the Secret, or correct the URL.", false},
    {"RefNotFound", SOURCE, "The repository has no such branch, tag or version.",
     "Correct spec.ref, or push it.", false},
    {"CommitNotFound", SOURCE, "No branch of the repository has the commit.",
     "Correct spec.ref.commit.", false},
    {"PathNotFound", SOURCE, "The commit has no such path.", "Correct spec.path.", false},
    {"NonFastForward", SOURCE,
     "The branch or tag was moved to a commit that does not descend from the applied one, or the "
     "range has lower versions alone.",
     "If that is meant, annotate the ConfigSource with drawbridge.dev/accept-non-fast-forward and "
     "the commit.",
     true},
    {"SignatureMissing", SOURCE, "The commit is not signed; nothing of it was applied.",
     "Push a signed commit.", true},
    {"SignerUnknown", SOURCE,
     "The commit is signed with a key that is not allowed; nothing of it was applied.",
     "Push a commit signed with an allowed key, or add the key to the Secret of spec.verify.",
     true},
    {"SignatureInvalid", SOURCE,
     "The commit's signature is bad or its key not valid; nothing of it was applied.",
     "Find out who pushed it.", true},
    {"InvalidDocument", SOURCE,
     "A file of the commit is not what it should be; nothing of the commit was applied.",
     "Correct the file that the message names.", true},
    {"SourceConflict", SOURCE, "An object of the commit belongs to another ConfigSource already.",
     "Take it out of one of the two repositories.", true},
    {"Held", SOURCE,
     "The roll-out of the newest commit was put back; the last known good commit is in force.",
     "Push a commit that corrects it.", true},

    // who is to do it
    {"ShardNotHeld", "ConfigValid ControlPlaneUpdated NodesUpdated ResourceAPIServed",
     "No controller has the shard that the cluster belongs to; nothing is done there.",
     "Give Drawbridge's ServiceAccount the rights on the Lease that the message names (the chart's "
     "value controller.shards does).",
     false},

    // the way there
    {"APIServerUnreachable", ANY, "The API server does not answer.",
     "Nothing, it is tried again; the last good state is kept.", false},
    {"RequestThrottled", ANY, "The API server asks for patience.", "Nothing, it is tried again.",
     false},
    {"RequestFailed", ANY, "The API server refuses what a request says.",
     "Read the message; it is tried again, and goes through when a newer API server or CRD takes "
     "it.",
     false},
    {"Forbidden", ANY, "The API server does not allow a request.",
     "Give Drawbridge's ServiceAccount the right that the message names.", false},
    {"Conflict", ANY, "Somebody else changed the object meanwhile; it is read again.",
     "Nothing, unless it goes on.", false},
    {"NotFound", ANY, "An object that is needed is not there.",
     "Make the object that the message names.", false},
    {"LimitReached", ANY, "Something is larger than Drawbridge takes.", "Read the message.", true},
    {"InternalError", ANY, "A mistake of Drawbridge's own.",
     "Report it with the message and the log.", false},
};

const struct api_reason *api_reasons(size_t *ret_len)
{
    *ret_len = COUNT(reasons);
    return reasons;
}

const struct api_reason *api_reason_find(const char *name)
{
    for (size_t i = 0; i < COUNT(reasons); i++)
        if (str_eq(reasons[i].name, name))
            return &reasons[i];
    return NULL;
}

bool api_reason_is_fine(const char *name)
{
    return api_word_in("DefaultOn NotRequested DRADisabled DriverNotRequested NoManagedNodes "
                       "Retained Reverted VerificationNotRequested",
                       name);
}

bool api_reason_warns(const struct api_reason *reason)
{
    return reason->terminal ||
           api_word_in("AgentMissing AgentNotReporting NodeNotReady StaleEpoch NoInstances "
                       "ClusterConfigNotUpdated ClaimsInUse",
                       reason->name);
}

bool api_reason_fits(const struct api_reason *reason, enum condition condition)
{
    if (condition == CONDITION_READY || condition_only_when_true(condition))
        return true;
    return api_word_in(reason->conditions, condition_name(condition));
}
