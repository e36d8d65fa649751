-- Which addresses can be written to, said once for claims, `may_send` and views: the same as workers/rules/channels.py.

-- A number in E.164 as Sluice keeps it: the lengths that each country code has, by the numbering data that this release
-- carries. The same as `identify` in workers/rules/identities.py; a new release of the data may need a new pattern
-- here.
CREATE FUNCTION sluice_core.is_number(lookup text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lookup ~ (
        '^\+(?:'
        '290[0-9]{4,5}|690[0-9]{4,7}|352[0-9]{4,11}|(?:43|598)[0-9]{4,13}|49[0-9]{4,15}|98(?:[0-9]{4,7}|[0-9]{10})'
        '|683(?:[0-9]{4}|[0-9]{7})|(?:500|682)[0-9]{5}|247[0-9]{5,6}|688[0-9]{5,7}|386[0-9]{5,8}|(?:27|64)[0-9]{5,10}'
        '|31[0-9]{5,11}|(?:358|971)[0-9]{5,12}|61(?:[0-9]{5,10}|[0-9]{12})|852(?:[0-9]{5,9}|[0-9]{11})'
        '|685(?:[0-9]{5,7}|[0-9]{10})|82(?:[0-9]{5,6}|[0-9]{8,14})|(?:676|677|678)(?:[0-9]{5}|[0-9]{7})'
        '|(?:47|686)(?:[0-9]{5}|[0-9]{8})|(?:298|299|672|687)[0-9]{6}|597[0-9]{6,7}|(?:252|355)[0-9]{6,9}'
        '|(?:48|95|880)[0-9]{6,10}|(?:375|595)[0-9]{6,11}|(?:39|381)[0-9]{6,12}|46(?:[0-9]{6,10}|[0-9]{12})'
        '|359(?:[0-9]{6,9}|[0-9]{12})|53(?:[0-9]{6,8}|[0-9]{10})|421(?:[0-9]{6,7}|[0-9]{9})|(?:376|689)(?:[0-9]{6}|[0-9]{8,9})'
        '|63(?:[0-9]{6}|[0-9]{8,13})|(?:40|508|681)(?:[0-9]{6}|[0-9]{9})'
        '|(?:238|239|246|248|269|291|297|592|673|674|680|691|692)[0-9]{7}|(?:241|599|670|675|853|961|965|975)[0-9]{7,8}'
        '|(?:231|385|967|968)[0-9]{7,9}|(?:84|243|254|353)[0-9]{7,10}|886[0-9]{7,11}|(?:86|882|972)[0-9]{7,12}|62[0-9]{7,17}'
        '|974(?:[0-9]{7,9}|[0-9]{11})|(?:230|267|372)(?:[0-9]{7,8}|[0-9]{10})|507(?:[0-9]{7,8}|[0-9]{10,11})'
        '|503(?:[0-9]{7,8}|[0-9]{11})|(?:220|245|265|354|423)(?:[0-9]{7}|[0-9]{9})|(?:44|263)(?:[0-9]{7}|[0-9]{9,10})'
        '|960(?:[0-9]{7}|[0-9]{10})|90(?:[0-9]{7}|[0-9]{10}|[0-9]{12,13})|(?:501|679)(?:[0-9]{7}|[0-9]{11})'
        '|(?:45|216|222|223|226|227|228|232|235|236|253|257|266|350|356|357|370|371|373|374|389|505|509|800|808|973|993)[0-9]{8}'
        '|(?:32|36|51|213|224|233|237|250|258|264|268|377|382|387|591|962|963)[0-9]{8,9}'
        '|(?:20|60|855|856|964|970|976)[0-9]{8,10}|(?:55|593)[0-9]{8,11}|(?:92|383|883)[0-9]{8,12}|91[0-9]{8,13}|81[0-9]{8,17}'
        '|66(?:[0-9]{8,10}|[0-9]{13})|(?:378|506|850)(?:[0-9]{8}|[0-9]{10})|(?:57|65|977)(?:[0-9]{8}|[0-9]{10,11})'
        '|(?:502|504)(?:[0-9]{8}|[0-9]{11})'
        '|(?:33|34|93|94|211|212|218|221|240|242|244|249|251|255|256|260|261|262|351|590|594|596|979|992|994|995|998)[0-9]{9}'
        '|(?:380|881|966|996)[0-9]{9,10}|56[0-9]{9,11}|420[0-9]{9,12}|(?:41|870)(?:[0-9]{9}|[0-9]{12})'
        '|(?:1|52|58|225|229)[0-9]{10}|54[0-9]{10,11}|30[0-9]{10,12}|234[0-9]{10,14}|7(?:[0-9]{10}|[0-9]{14})|888[0-9]{11}'
        '|878[0-9]{12}'
        ')$'
    );

-- Whether an address, in its look-up form, can be written to before a message came from it.
CREATE FUNCTION sluice_core.understood(channel text, lookup text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN channel IN ('whatsapp', 'sms') THEN sluice_core.is_number(lookup)
        WHEN channel = 'email' THEN lookup ~ (
            '^(?:[^\x01-\x20\x7f"(),:;<>@\[\\\]\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+'
            '|"(?:[^"\\\x01-\x1f\x7f]|\\[^\x01-\x1f\x7f])*")'
            '@(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[a-z0-9.:-]+\])$'
        )
        ELSE true
    END;

CREATE FUNCTION sluice_core.channel_state(channel text, understood boolean, connected_at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN connected_at IS NOT NULL THEN 'active'
        WHEN understood AND channel IN ('whatsapp', 'sms', 'email') THEN 'inactive'
        ELSE 'unavailable'
    END;

-- Why an address cannot be written to, or null; `connected_at` of the identity, null where there is none.
CREATE FUNCTION sluice_core.channel_obstacle(channel text, lookup text, understood boolean, connected_at timestamptz)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN connected_at IS NOT NULL THEN
            CASE WHEN channel = 'sms' AND NOT understood AND regexp_replace(lookup, '^ *(?:whatsapp|tel|sms):', '', 'i')
                ~ '[A-Za-z]|[^\x01-\x7f\u00a0\u0660-\u0669\u06f0-\u06f9\u2000-\u206f\ufeff\uff0b\uff10-\uff19]'
            THEN 'bad_address' END
        WHEN NOT understood THEN 'bad_address'
        WHEN sluice_core.channel_state(channel, understood, connected_at) = 'unavailable' THEN 'contact_must_initiate'
    END;

-- The field of a contact that has its address on a kind of channel.
CREATE FUNCTION sluice_core.on_file(channel text, phone text, email text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN channel = 'email' THEN email WHEN channel IN ('whatsapp', 'sms') THEN phone END;
