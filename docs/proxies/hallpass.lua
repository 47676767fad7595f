-- Asks Hallpass whether a request may pass. The argument of the action is what is required; of the request only the
-- Authorization header is sent. Whatever goes wrong is a refusal.

local url = "https://hallpass-tokenserver.hallpass-system.svc:443/forward-auth?"

local identity = {
  "x-auth-client-id", "x-auth-client-uid", "x-auth-client-namespace",
  "x-auth-scopes", "x-auth-audience", "x-auth-expires",
  "x-auth-subject", "x-auth-subject-type", "x-auth-user",
}

local function values(headers, name)
  local all = {}
  for _, value in pairs(headers[name] or {}) do
    table.insert(all, value)
  end
  return all
end

local function refuse(txn, response)
  local reply = txn:reply()
  local status = response and response.status or 503
  if status ~= 401 and status ~= 403 then
    status = 503
  end
  reply:set_status(status)
  for _, name in ipairs({ "www-authenticate", "content-type", "cache-control" }) do
    for _, value in ipairs(values(response and response.headers or {}, name)) do
      reply:add_header(name, value)
    end
  end
  reply:set_body(response and response.body or "")
  txn:done(reply)
end

core.register_action("hallpass", { "http-req" }, function(txn, required)
  local request = txn.http:req_get_headers()
  local headers = { ["accept"] = values(request, "accept") }
  local authorization = values(request, "authorization")
  if #authorization > 0 then
    headers["authorization"] = authorization
  end
  local asked, response = pcall(function()
    return core.httpclient():get { url = url .. required, headers = headers, timeout = 5000 }
  end)
  if not asked or not response or response.status ~= 200 then
    return refuse(txn, asked and response or nil)
  end
  for _, name in ipairs(identity) do
    local said = values(response.headers, name)
    if #said ~= 1 then
      return refuse(txn, nil)
    end
    txn.http:req_set_header(name, said[1])
  end
end, 1)
