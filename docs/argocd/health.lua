-- Health of the custom resources of Hallpass for Argo CD: resource.customizations.health.hallpass.dev_OAuth2Client in argocd-cm, and
-- the same for OAuth2Resource, OAuth2Token, OAuth2Policy, OAuth2TrustedIssuer and TokenRevocation.
-- The token servers write batches, which have no status.
if obj.kind == "TokenRevocation" and obj.spec.batch ~= nil then
  return { status = "Healthy", message = "Batch of single tokens" }
end
local hs = { status = "Progressing", message = "Waiting for Hallpass" }
if obj.status == nil or obj.status.conditions == nil then
  return hs
end
-- A status of an older generation does not describe this one.
if obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
local ready, stalled
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then ready = condition end
  if condition.type == "Stalled" and condition.status == "True" then stalled = condition end
end
if stalled ~= nil then
  return { status = "Degraded", message = stalled.message }
end
if ready == nil then
  return hs
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
-- A selector of a client that does not exist. It is never changed, so waiting does not help.
if obj.kind == "TokenRevocation" then
  return { status = "Degraded", message = ready.message }
end
if ready.reason == "Suspended" then
  return { status = "Suspended", message = ready.message }
end
hs.message = ready.message
return hs
