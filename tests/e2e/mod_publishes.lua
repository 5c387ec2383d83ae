-- Lets a test publish what servers of other kinds do: the IQ in a message to the host is sent on as
-- the host's own.
module:hook("message/host", function (event)
	local iq = event.stanza:get_child("iq");
	if not iq then return; end
	iq.attr.from = module.host;
	module:send(iq);
	return true;
end);
