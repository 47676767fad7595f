-- Drops headers that an upstream could take for an identity header: "_" and "." count as "-".
function drop(r)
  for name in pairs(r:headers_in_table()) do
    if name:lower():gsub("[_.]", "-"):sub(1, 7) == "x-auth-" then
      r.headers_in[name] = nil
    end
  end
  return apache2.DECLINED
end
